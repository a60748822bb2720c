from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from metricface.data import AlignedFolder, align, align_folder, read_landmarks
from tests.data.alignment.test_align import TEMPLATE

POINTS = TEMPLATE * 0.5 + 4


class Detector:
    """Finds a face in every photograph whose first pixel is not black."""

    def __init__(self, dies_at: int = -1) -> None:
        self.calls, self._dies_at = 0, dies_at

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> list[Any]:
        self.calls += 1
        if self.calls == self._dies_at:
            raise KeyboardInterrupt
        return [((4, 4, 60, 60), POINTS, 0.75)] if pixels[0, 0].any() else []


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Six that hold a face, one that does not, and three files that are none."""
    root = tmp_path / "photographs"
    generator = np.random.default_rng(0)
    for name in ("anna/1.jpg", "anna/1.png", "anna/2.jpg", "ben/deep/1.bmp", "c.png", "d e,f.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(1, 256, (70, 80, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / name)
    Image.new("L", (70, 80)).save(root / "dark.png")
    (root / "broken.jpg").write_bytes((root / "anna/1.jpg").read_bytes()[:300])
    (root / "empty.png").touch()
    (root / "notes.png").write_text("no picture")
    (root / "list.txt").touch()
    return root


def table(out: Path) -> list[dict[str, str]]:
    with (out / "faces.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(photographs: Path, out: Path, detector: Detector, **more: Any) -> AlignedFolder:
    return align_folder(photographs, out, detector=detector, progress=False, **more)


def test_the_tree_of_crops_and_a_row_for_each_photograph(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    assert run(photographs, out, Detector()) == AlignedFolder(6, 0, 1, 3)
    crops = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert crops == {
        *("anna/1.jpg.png", "anna/1.png.png", "anna/2.png"),
        *("ben/deep/1.png", "c.png", "d e,f.png"),
    }
    rows = {row["photograph"]: row for row in table(out)}
    assert len(rows) == 10
    assert rows["dark.png"]["reason"] == "no face was found"
    for name in ("broken.jpg", "empty.png", "notes.png"):
        assert rows[name]["crop"] == ""
        assert "no readable image" in rows[name]["reason"]
        assert str(tmp_path) not in rows[name]["reason"]
    found = rows["anna/2.jpg"]
    assert [float(found[name]) for name in ("left", "bottom", "score")] == [4, 60, 0.75]
    expected = align([photographs / "anna/2.jpg"], [POINTS])
    assert [float(found[name]) for name in "abcdef"] == pytest.approx(
        expected.transforms[0].flatten().tolist(), abs=1e-6
    )
    crop = np.asarray(Image.open(out / found["crop"]))
    expected_pixels = (expected.images[0] * 255).round().byte().permute(1, 2, 0)
    assert torch.equal(torch.from_numpy(crop.copy()), expected_pixels)


@pytest.mark.parametrize("dies_at", [1, 4, 7])
def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(
    photographs: Path, tmp_path: Path, dies_at: int
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(photographs, whole, Detector())
    with pytest.raises(KeyboardInterrupt):
        run(photographs, parts, Detector(dies_at))
    journal = parts / ".faces.journal"
    journal.write_bytes(journal.read_bytes() + b'{"photograph": "c.p')  # a line half written
    again = Detector()
    assert run(photographs, parts, again).aligned == 6
    assert again.calls <= 7
    assert content(parts) == content(whole)


def test_workers_change_nothing(photographs: Path, tmp_path: Path) -> None:
    run(photographs, tmp_path / "one", Detector())
    run(photographs, tmp_path / "two", Detector(), workers=2)
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_a_later_run_does_what_is_missing(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    run(photographs, out, Detector())
    Image.new("RGB", (70, 80), "white").save(photographs / "c.bmp")  # its name is taken
    (out / "ben/deep/1.png").unlink()
    later = Detector()
    assert run(photographs, out, later) == AlignedFolder(7, 5, 1, 3)
    assert later.calls == 3  # the new one, the lost one, and the dark one again
    assert (out / "c.bmp.png").exists()


def test_crops_of_photographs_that_are_gone_are_told_of_until_they_are_removed(
    photographs: Path, tmp_path: Path
) -> None:
    """Moved to another identity, a photograph would stand under both."""
    out = tmp_path / "crops"
    run(photographs, out, Detector())
    (photographs / "ben/deep/1.bmp").rename(photographs / "anna/3.bmp")
    for done in (AlignedFolder(6, 5, 1, 3), AlignedFolder(6, 6, 1, 3)):
        with pytest.warns(UserWarning, match="1 crops in .*'ben/deep/1.png' .* is gone") as caught:
            assert run(photographs, out, Detector()) == done
        assert caught[0].filename == __file__
        [row] = [row for row in table(out) if row["crop"] and row["reason"]]
        assert row["photograph"] == "ben/deep/1.bmp"
        assert set(read_landmarks(out / "faces.csv")) >= {"ben/deep/1.bmp", "anna/3.bmp"}
    (out / "ben/deep/1.png").unlink()
    assert run(photographs, out, Detector()).aligned == 6
    assert "ben/deep/1.bmp" not in {row["photograph"] for row in table(out)}


def test_a_photograph_that_comes_back_has_its_crop_still(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    run(photographs, out, Detector())
    before = content(out)
    (photographs / "anna").rename(tmp_path / "elsewhere")
    Image.new("RGB", (70, 80), "white").save(photographs / "c.bmp")
    with pytest.warns(UserWarning, match="3 crops in"):
        run(photographs, out, Detector())
    (tmp_path / "elsewhere").rename(photographs / "anna")
    (photographs / "c.bmp").unlink()
    (out / "c.bmp.png").unlink()
    assert run(photographs, out, Detector()) == AlignedFolder(6, 6, 1, 3)
    assert content(out) == before


def test_a_photograph_that_was_replaced_is_aligned_anew(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    run(photographs, out, Detector())
    Image.new("RGB", (70, 80), "white").save(photographs / "c.png")
    assert run(photographs, out, Detector()) == AlignedFolder(6, 5, 1, 3)
    assert np.asarray(Image.open(out / "c.png"))[40:70, 40:70].min() == 255
    Image.new("L", (70, 80)).save(photographs / "c.png")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"'c.png' \('c.png': no face was found\)"):
            assert run(photographs, out, Detector()) == AlignedFolder(5, 5, 2, 3)
    Image.new("RGB", (70, 80), "white").save(photographs / "c.png")
    assert run(photographs, out, Detector()) == AlignedFolder(6, 5, 1, 3)


def test_a_killed_run_makes_the_rest_anew(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    run(photographs, out, Detector())
    for name in ("anna/1.jpg", "anna/2.jpg", "c.png", "d e,f.png"):
        Image.new("RGB", (70, 80), "white").save(photographs / name)
    with pytest.raises(KeyboardInterrupt):
        run(photographs, out, Detector(dies_at=3))
    run(photographs, out, Detector())
    run(photographs, tmp_path / "whole", Detector())
    assert content(out) == content(tmp_path / "whole")


def test_corrected_landmarks_are_taken(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    known = dict.fromkeys(("anna/1.jpg", "c.png", "d e,f.png"), POINTS)

    def given(landmarks: Any) -> AlignedFolder:
        return align_folder(photographs, out, landmarks=landmarks, progress=False)

    assert given(known).before == 0
    before = content(out)
    assert given({path: points.tolist() for path, points in known.items()}).before == 3
    assert given({"c.png": POINTS + 1 / 3}).before == 2
    changed = {path for path, was in before.items() if content(out)[path] != was}
    assert changed == {"c.png", "faces.csv"}
    assert given({"c.png": POINTS + 1 / 3}).before == 3
    (photographs / "anna/1.jpg").unlink()
    (photographs / "anna/1.jpg").symlink_to("nowhere")
    with pytest.warns(UserWarning, match="2 crops in .*No such file"):
        given({"c.png": [[1.0, 2.0], [3.0]]})


def test_notes_of_macos_are_counted_and_are_no_photographs(
    photographs: Path, tmp_path: Path
) -> None:
    (photographs / "anna" / "._1.jpg").write_bytes(b"\0\5\26\7")
    with pytest.warns(UserWarning, match="passed over: 1 files"):
        assert run(photographs, tmp_path / "crops", Detector()) == AlignedFolder(6, 0, 1, 3)


def test_photographs_of_other_endings_are_counted(photographs: Path, tmp_path: Path) -> None:
    (photographs / "anna" / "1.heic").touch()
    with pytest.warns(UserWarning, match="passed over: 1 files of .*heic") as caught:
        run(photographs, tmp_path / "crops", Detector())
    assert caught[0].filename == __file__


def test_landmarks_take_the_place_of_a_detector(photographs: Path, tmp_path: Path) -> None:
    run(photographs, tmp_path / "detected", Detector())
    known = read_landmarks(tmp_path / "detected" / "faces.csv")
    assert set(known) == {row["photograph"] for row in table(tmp_path / "detected") if row["crop"]}
    del known["c.png"]
    known["anna/2.jpg"] = np.zeros((5, 2))
    done = align_folder(photographs, tmp_path / "given", landmarks=known, progress=False)
    assert done == AlignedFolder(4, 0, 0, 4, without_landmarks=2)
    rows = {row["photograph"]: row for row in table(tmp_path / "given")}
    assert rows["c.png"]["reason"] == "no landmarks were given"
    assert "coincide" in rows["anna/2.jpg"]["reason"]
    same = "d e,f.png"
    assert content(tmp_path / "given")[same] == content(tmp_path / "detected")[same]


def test_other_settings_are_not_mixed(photographs: Path, tmp_path: Path) -> None:
    run(photographs, tmp_path / "crops", Detector())
    with pytest.raises(
        ValueError, match=r"another size, \[112, 112\] in place of \[112, 96\]: give another folder"
    ):
        run(photographs, tmp_path / "crops", Detector(), template="sphereface")
    with pytest.raises(ValueError, match="another landmarks, by Detector in place of given"):
        align_folder(photographs, tmp_path / "crops", landmarks={"c.png": POINTS}, progress=False)


def test_landmarks_of_other_photographs_are_an_error(photographs: Path, tmp_path: Path) -> None:
    for given, said in (({"./c.png": POINTS, "C.png": POINTS}, "2 .*'./c.png'"), ({}, "0 .*''")):
        words = f"none of the {said}, the photographs such as 'anna/1.jpg'"
        with pytest.raises(ValueError, match=words):
            align_folder(photographs, tmp_path / "crops", landmarks=given, progress=False)
    assert not (tmp_path / "crops").exists()


def test_a_name_that_is_no_utf_8(photographs: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (photographs / "c.png").rename(photographs / name)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    out = tmp_path / "crops"
    assert run(photographs, out, Detector()) == AlignedFolder(6, 0, 1, 3)
    assert (out / name).is_file()
    assert run(photographs, out, Detector()) == AlignedFolder(6, 6, 1, 3)
    known = read_landmarks(out / "faces.csv")
    assert name in known
    again = align_folder(photographs, tmp_path / "again", landmarks=known, progress=False)
    assert again.aligned == 6


def test_folders_that_do_not_do(photographs: Path, tmp_path: Path) -> None:
    for out in (photographs, photographs / "crops"):
        with pytest.raises(ValueError, match="must not lie among the photographs"):
            run(photographs, out, Detector())
    with pytest.raises(NotADirectoryError, match="is no folder"):
        run(tmp_path / "nowhere", tmp_path / "crops", Detector())
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match="there is no image in"):
        run(tmp_path / "bare", tmp_path / "crops", Detector())
    with pytest.raises(ValueError, match="either a detector or landmarks"):
        align_folder(photographs, tmp_path / "crops")
    with pytest.raises(ValueError, match="face must be 'largest' or 'central', got the string"):
        run(photographs, tmp_path / "crops", Detector(), face="biggest")


def test_the_settings_are_written_down(photographs: Path, tmp_path: Path) -> None:
    run(photographs, tmp_path / "crops", Detector(), detected_by="stand-in 1.0")
    said = json.loads((tmp_path / "crops" / "align.json").read_text())
    assert said["landmarks"] == "by stand-in 1.0"
    assert said["size"] == [112, 112]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks a column path; it has no header"),
        ("path,x1,y1\na,1,2\n", "lacks the columns x2, y2"),
        ("path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\na,1,2,3,4,5,6,7,8,9,\n", "line 2 of .*could not"),
        ("path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n" + "a,1,2,3,4,5,6,7,8,9,0\n" * 2, "line 3.*twice"),
    ],
    ids=["empty", "columns", "number", "twice"],
)
def test_landmarks_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_landmarks(tmp_path / "points.csv")
