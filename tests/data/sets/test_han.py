"""Characters in typefaces that are made here, and in those that are installed."""

from __future__ import annotations

import csv
import importlib
import os
import pickle
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metricface.data import TypefaceSet, han, identity_split
from tests.data.sets.tiny_fonts import make_collection, make_font, pattern

# By name: in the package, ``han`` is the function.
module = importlib.import_module("metricface.data.sets.han")

CHARACTERS = "一七三上下不世並中丸主久乗九也乳"  # 16, in code point order


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three designs, a bold one, a copy, and what is no use."""
    folder = tmp_path_factory.mktemp("fonts")
    (folder / "deep").mkdir()
    for design in (1, 2, 3):  # of 15, 14 and 13 characters
        file = folder / "deep" / f"design{design}.ttf"
        make_font(file, CHARACTERS[:-design], design=design, family=f"Design {design}")
    make_font(folder / "bold.ttf", CHARACTERS[:12], design=4, family="Design 2", style="Bold")
    make_font(folder / "copy.ttf", CHARACTERS[:12], design=1, family="Renamed")
    make_font(folder / "failing.ttf", CHARACTERS, design=5, family="Failing", failing=True)
    make_font(folder / "poor.ttf", CHARACTERS[:4], design=8, family="Poor")
    make_font(folder / "latin.ttf", "ABC", design=6, family="Latin")
    (folder / "bytes.ttf").write_bytes((folder / "deep" / "design1.ttf").read_bytes())
    (folder / "broken.ttc").write_bytes(b"ttcf no font")
    (folder / "empty.ttf").touch()
    (folder / "readme.txt").write_text("no font")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(fonts: Path, cache: Path) -> TypefaceSet:
    return drawn([fonts], cache)


def drawn(
    fonts: Iterable[Path], cache: Path, *, at_least: int = 3, workers: int = 0, size: int = 10
) -> TypefaceSet:
    return han(
        characters=list(CHARACTERS),
        size=size,
        at_least=at_least,
        fonts=fonts,
        workers=workers,
        cache=cache,
    )


def names(data: TypefaceSet) -> str:
    return "".join(name[0] for name in data.names)


def sets(cache: Path) -> list[Path]:
    return sorted(cache.glob("han-*"))


def test_a_character_is_an_identity_and_a_typeface_that_holds_it_an_image(
    data: TypefaceSet,
) -> None:
    assert names(data) == CHARACTERS[:13]  # the others are in two typefaces, in one, in none
    assert data.names[0] == "一 U+4E00"
    assert data.labels.tolist() == [i for i in range(13) for _ in range(3 if i == 12 else 4)]
    assert repr(data) == "TypefaceSet(51 images of 10 x 10, 13 identities, 4 typefaces)"


def test_the_images_are_those_of_their_typeface(data: TypefaceSet) -> None:
    assert data.typeface_names == (
        "Design 1 Regular",
        "Design 2 Regular",
        "Design 3 Regular",
        "Design 2 Bold",
    )
    for image, label, typeface in zip(data.images, data.labels, data.typefaces, strict=True):
        cells = pattern(CHARACTERS[label], design=int(typeface) + 1)
        thick = np.repeat(np.repeat(cells, 2, axis=0), 2, axis=1)
        assert np.abs(image / 255.0 - thick).mean() < 0.15


def test_a_family_is_of_one_name(data: TypefaceSet) -> None:
    of_each = [set(data.families[data.typefaces == face].tolist()) for face in range(4)]
    assert of_each == [{0}, {1}, {2}, {1}]


def test_what_was_left_out_is_listed_with_the_reason(data: TypefaceSet, cache: Path) -> None:
    (folder,) = sets(cache)
    with (folder / "typefaces.csv").open(encoding="utf-8", newline="") as stream:
        what = {row["name"]: row["what"] for row in csv.DictReader(stream)}
    assert what.pop("Renamed Regular") == "like Design 1 Regular"
    assert what.pop("Failing Regular") == "draws 0 of the 16 characters that are compared"
    assert what.pop("Poor Regular") == "draws 4 of the 16 characters that are compared"
    assert set(what) == set(data.typeface_names)
    assert set(what.values()) == {"taken"}


def test_what_a_font_has_no_glyph_for_is_no_image(tmp_path: Path) -> None:
    """Neither what its map lacks, nor what it maps to the box, nor what has no ink."""
    for design in (1, 2):
        make_font(
            tmp_path / f"{design}.ttf",
            CHARACTERS[:9],
            design=design,
            family=f"Design {design}",
            boxes=CHARACTERS[9:11],
            empty=CHARACTERS[11],
        )
    data = drawn([tmp_path], tmp_path, at_least=1)
    assert names(data) == CHARACTERS[:9]


def test_every_typeface_of_a_collection_is_found(fonts: Path, tmp_path: Path) -> None:
    files = [fonts / "deep" / f"design{design}.ttf" for design in (1, 2, 3)]
    collection = make_collection(tmp_path / "all.ttc", files)
    data = drawn([collection], tmp_path)
    assert data.typeface_names == tuple(f"Design {design} Regular" for design in (1, 2, 3))
    assert np.array_equal(data.images, drawn(files, tmp_path).images)


def test_relatives_are_one_family_whatever_they_are_called(tmp_path: Path) -> None:
    """A dropped copy under another name links the typefaces of that name to the original's."""
    for name, design, family in (("a", 1, "One"), ("b", 1, "Other"), ("c", 2, "Other")):
        make_font(tmp_path / f"{name}.ttf", CHARACTERS, design=design, family=family)
    make_font(tmp_path / "d.ttf", CHARACTERS, design=3, family="Third")
    data = drawn([tmp_path], tmp_path)
    assert data.typeface_names == ("One Regular", "Other Regular", "Third Regular")
    assert [data.families[data.typefaces == face][0] for face in range(3)] == [0, 0, 1]


def test_characters_that_look_alike_count_once(tmp_path: Path) -> None:
    for design, alike in ((1, "一七上"), (2, "一七"), (3, "一七")):
        file = tmp_path / f"{design}.ttf"
        make_font(file, CHARACTERS, design=design, family=f"Design {design}", alike=alike)
    assert names(drawn([tmp_path], tmp_path)) == CHARACTERS.replace("七", "")


def test_it_is_drawn_once_and_mapped(
    data: TypefaceSet, fonts: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_draw", None)
    again = drawn([fonts], cache)
    assert isinstance(again.images, np.memmap)
    for field in ("images", "labels", "typefaces", "families"):
        assert np.array_equal(getattr(again, field), getattr(data, field)), field
    assert (again.names, again.typeface_names) == (data.names, data.typeface_names)


def test_other_settings_and_other_fonts_are_another_set(
    data: TypefaceSet, fonts: Path, tmp_path: Path
) -> None:
    files = [*(fonts / "deep").iterdir(), fonts / "bold.ttf"]
    for change in ({}, {"size": 8}, {"at_least": 4}):
        drawn(files, tmp_path, **change)
    drawn(files[:3], tmp_path)
    assert len(sets(tmp_path)) == 4
    moved = tmp_path / "moved"
    moved.mkdir()
    for number, file in enumerate(files):
        (moved / f"{number}.ttf").write_bytes(file.read_bytes())
    same = drawn([moved], tmp_path)  # the names of files, and their order, do not count
    assert len(sets(tmp_path)) == 4
    assert np.array_equal(same.images, data.images)


def test_a_changed_font_is_seen(fonts: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{design}.ttf" for design in (1, 2, 3)]
    for design, file in enumerate(files, start=1):
        make_font(file, CHARACTERS, design=design, family=f"Design {design}")
    before = drawn(files, tmp_path)
    make_font(files[0], CHARACTERS, design=7, family="Design 1")
    os.utime(files[0], ns=(1, 1))
    after = drawn(files, tmp_path)
    assert before.images.shape == after.images.shape
    assert not np.array_equal(before.images, after.images)


@pytest.mark.parametrize("file", ["images.npy", "index.npz"])
def test_a_damaged_set_is_drawn_again(
    data: TypefaceSet, fonts: Path, tmp_path: Path, file: str
) -> None:
    drawn([fonts], tmp_path)
    (folder,) = sets(tmp_path)
    for content in (b"", (folder / file).read_bytes()[:-99]):
        (folder / file).write_bytes(content)
        assert np.array_equal(drawn([fonts], tmp_path).images, data.images)


def test_a_killed_drawing_leaves_no_set(
    data: TypefaceSet, fonts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "look_alikes", killed)
        with pytest.raises(KeyboardInterrupt):
            drawn([fonts], tmp_path)
    (folder,) = sets(tmp_path)
    (folder / ".images.npy.0123456789abcdef.partial").touch()  # as a kill -9 would leave it
    assert np.array_equal(drawn([fonts], tmp_path).images, data.images)
    left = {file.name for file in folder.iterdir()}
    assert left == {".lock", "images.npy", "index.npz", "typefaces.csv"}


def test_who_comes_while_another_draws_waits_for_it(
    data: TypefaceSet, fonts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's lock keeps out threads as it does processes."""
    draw, times = module._draw, []

    def slowly(*given: Any) -> None:
        times.append(time.monotonic())
        time.sleep(0.7)  # longer than the wait between looks
        draw(*given)

    monkeypatch.setattr(module, "_draw", slowly)
    with ThreadPoolExecutor(2) as both:
        asked = [both.submit(drawn, [fonts], tmp_path) for _ in range(2)]
        for one in asked:
            assert np.array_equal(one.result(timeout=120).images, data.images)
    assert len(times) == 1


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_draw_the_same(data: TypefaceSet, fonts: Path, tmp_path: Path) -> None:
    assert np.array_equal(drawn([fonts], tmp_path, workers=2).images, data.images)


def test_two_sides_are_held_out(data: TypefaceSet) -> None:
    train, test = identity_split(data.labels, (0.7, 0.3))
    seen, unseen = identity_split(data.families, (0.6, 0.4))
    learned, both = (
        data.subset(np.intersect1d(train, seen)),
        data.subset(np.intersect1d(test, unseen)),
    )
    assert len(learned)
    assert len(both)
    for side in ("labels", "typefaces", "families"):
        assert not set(getattr(learned, side)) & set(getattr(both, side)), side
    assert learned.typeface_names == data.typeface_names


def test_worker_processes_get_the_name_of_the_file(data: TypefaceSet) -> None:
    sent = pickle.dumps(data)
    assert data.images.tobytes()[:200] not in sent
    back = pickle.loads(sent)
    assert isinstance(back, TypefaceSet)
    assert np.array_equal(back.images, data.images)
    assert np.array_equal(back.typefaces, data.typefaces)


def test_without_such_typefaces_the_error_has_the_line_to_type(fonts: Path, tmp_path: Path) -> None:
    for files in ([], [fonts / "latin.ttf"], [fonts / "deep" / "design1.ttf"]):
        with pytest.raises(FileNotFoundError, match=r"\napt-get install fonts-\S+ fonts-") as said:
            drawn(files, tmp_path)
        assert "3 typefaces or more" in str(said.value)
    with pytest.raises(FileNotFoundError, match="apt-get install"):  # copies alone
        drawn([fonts / "copy.ttf", fonts / "deep" / "design1.ttf"], tmp_path, at_least=2)


def test_the_line_to_type_names_packages_and_is_that_of_the_page() -> None:
    packages = module.INSTALL.removeprefix("apt-get install ").split()
    assert all(re.fullmatch(r"fonts-[a-z0-9-]*[a-z0-9]", name) for name in packages)
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    assert module.INSTALL in " ".join(page.replace("\\\n", " ").split())


def test_a_font_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no font file or folder .*none\.ttf"):
        drawn([tmp_path / "none.ttf"], tmp_path)


def test_one_path_is_as_good_as_a_list(data: TypefaceSet, fonts: Path, cache: Path) -> None:
    for one in (fonts, str(fonts)):
        same = han(characters=list(CHARACTERS), size=10, at_least=3, fonts=one, cache=cache)  # type: ignore[arg-type]
        assert len(same) == len(data)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"at_least": 0}, "at_least must be at least 1, got 0"),
        ({"characters": "gb"}, "characters must be 'jis', 'gb2312', 'both' or a list of"),
        ({"characters": []}, "at least one character, got none"),
        ({"characters": ["一二"]}, "single characters, got '一二'"),
        ({"characters": [1]}, "single characters, got 1"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        han(**settings)


def test_the_standards_are_complete() -> None:
    sizes = {name: len(module._codepoints(name)) for name in ("jis", "gb2312", "both")}
    assert sizes == {"jis": 6355, "gb2312": 6763, "both": 9788}
    assert chr(module._codepoints("jis")[0]) == "一"


def test_fonttools_and_matplotlib_are_asked_for(
    fonts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fontTools", None)
        with pytest.raises(ImportError, match="pip install fonttools"):
            drawn([fonts], tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", None)
    with pytest.raises(ImportError, match=r"fonts=\[...\].*metricface\[plots\]"):
        han(cache=tmp_path)
