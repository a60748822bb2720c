from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from metricface.data import image_folder


def _save(root: Path, *names: str) -> None:
    for value, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(root / name, "PNG")


def test_each_folder_is_an_identity_and_everything_is_in_order(tmp_path: Path) -> None:
    _save(tmp_path, "zoe/2.png", "zoe/1.JPG", "Ann/b/1.png", "Ann/a.tiff", "Ann/b/0/x.webp")
    people = image_folder(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in people.paths]
    assert found == ["Ann/a.tiff", "Ann/b/0/x.webp", "Ann/b/1.png", "zoe/1.JPG", "zoe/2.png"]
    assert people.names == ("Ann", "zoe")
    assert people.labels.tolist() == [0, 0, 0, 1, 1]
    assert people.load().images[:, 0, 0].tolist() == [3, 4, 2, 1, 0]


def test_size_and_colour_are_passed_on(tmp_path: Path) -> None:
    _save(tmp_path, "a/1.png", "a/2.png")
    assert image_folder(str(tmp_path), size=(5, 4), colour=True)[0][0].shape == (3, 5, 4)


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    _save(tmp_path, "a/1.png", "a/2.png", "a/.2.png", ".trash/a.png", "a/.old/3.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "readme.md").write_text("no image either")
    assert [path.name for path in image_folder(tmp_path).paths] == ["1.png", "2.png"]


def test_what_macos_leaves_is_passed_over_and_counted(tmp_path: Path) -> None:
    """Such notes end as images do, and a folder that holds them alone holds no image."""
    _save(tmp_path, "a/1.png", "a/2.png", "a/._1.png", "a/b/._2.png", "c/._1.png", "c/.x.png")
    (tmp_path / "a" / "._notes.txt").touch()
    (tmp_path / "c" / ".DS_Store").touch()
    with pytest.warns(UserWarning, match="passed over|left out") as caught:
        people = image_folder(tmp_path, empty="skip")
    assert [path.name for path in people.paths] == ["1.png", "2.png"]
    said = [str(each.message) for each in caught]
    assert said[0].startswith("passed over: 3 files of ")
    assert "1 of 2 folders" in said[1]
    assert {each.filename for each in caught} == {__file__}


def test_a_note_of_macos_beside_the_folders_is_no_loose_image(tmp_path: Path) -> None:
    _save(tmp_path, "a/1.png", "a/2.png", "._a.png")
    assert len(image_folder(tmp_path)) == 2


def test_a_transform_changes_each_image_when_it_is_asked_for(tmp_path: Path) -> None:
    """So images of several sizes make one batch, which they cannot by themselves."""
    _save(tmp_path, "a/1.png", "a/2.png")
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(tmp_path / "a" / "3.png")
    with pytest.raises(ValueError, match="give size="):
        image_folder(tmp_path).__getitems__([0, 2])
    people = image_folder(tmp_path, transform=lambda image: image[:, :2, :3] + 1)
    for set_ in (people, people.subset([2, 0, 1]).subset([1, 2, 0])):
        images, labels = next(iter(DataLoader(set_, batch_size=3)))
        assert images.shape == (3, 1, 2, 3)
        assert labels.tolist() == [0, 0, 0]
        assert images[:, 0, 0, 0].tolist() == pytest.approx([1, 1 + 1 / 255, 1])
    with pytest.raises(ValueError, match=r"load\(\) keeps pixels .* without transform="):
        people.load()
    with pytest.raises(TypeError, match="transform must be a function of an image, got 'flip'"):
        image_folder(tmp_path, transform="flip")  # type: ignore[arg-type]


def test_links_are_followed(tmp_path: Path) -> None:
    _save(tmp_path, "store/x/1.png", "store/x/2.png")
    (tmp_path / "people" / "ann").mkdir(parents=True)
    (tmp_path / "people" / "ben").symlink_to(tmp_path / "store")
    (tmp_path / "people" / "ann" / "1.png").symlink_to(tmp_path / "store" / "x" / "1.png")
    (tmp_path / "people" / "ann" / "more").symlink_to(tmp_path / "store" / "x")
    assert image_folder(tmp_path / "people").labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("link", "to"),
    [
        ("people/ann/all", ".."),
        ("people/ann/self", "."),
        ("people/cem", "."),
        ("people/ann/away", "../../store"),
        ("people/ann/far", "../../store/ring"),
    ],
)
def test_links_that_lead_back_are_refused(tmp_path: Path, link: str, to: str) -> None:
    """Else images are met again and again, and under other identities."""
    _save(tmp_path, "people/ann/1.png", "people/ben/1.png", "store/x/1.png", "store/ring/2.png")
    (tmp_path / "store" / "back").symlink_to("../people/ann")
    (tmp_path / "store" / "ring" / "back").symlink_to("..")
    (tmp_path / link).symlink_to(to)
    with pytest.raises(ValueError, match=r"is a link to a folder that it lies in: .* remove it"):
        image_folder(tmp_path / "people")


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(tmp_path, "ann/1.png", "ann/2.png", "ann/closed/3.png")
    scandir = os.scandir

    def closed(path: Any) -> Any:  # as a folder without rights is, but to root
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError, match="ann/closed"):
        image_folder(tmp_path)


def test_images_of_other_endings_are_counted(tmp_path: Path) -> None:
    _save(tmp_path, "a/1.png", "a/2.jfif", "a/3.JPE", "a/4.heic", "a/b/5.HEIC", "a/6.avif")
    (tmp_path / "a" / ".7.heic").touch()
    with pytest.warns(UserWarning, match="passed over: 3 files") as caught:
        people = image_folder(tmp_path)
    assert str(caught[0].message).endswith("end in .avif, .heic, which are not read: convert them")
    assert caught[0].filename == __file__
    assert [path.name for path in people.paths] == ["1.png", "2.jfif", "3.JPE"]


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _save(tmp_path, "faces/a/1.png", "faces/a/2.png")
    assert len(image_folder("~/faces")) == 2


def test_no_folder_and_no_folders(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match=r"none is no folder"):
        image_folder(tmp_path / "none")
    with pytest.raises(ValueError, match=r"there is no folder in .*: the images of each identity"):
        image_folder(tmp_path)


def test_images_beside_the_folders(tmp_path: Path) -> None:
    _save(tmp_path, "b.png", "a.jpg")
    words = r"2 images, such as 'a\.jpg', lie in .* itself"
    with pytest.raises(ValueError, match=words):
        image_folder(tmp_path)
    _save(tmp_path, "ann/1.png")
    with pytest.raises(ValueError, match=words):
        image_folder(tmp_path)


def test_folders_without_images_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    _save(tmp_path, "ann/1.png", "ann/2.png")
    (tmp_path / "cem").mkdir()
    (tmp_path / "ben" / "inner").mkdir(parents=True)
    (tmp_path / "ben" / "1.txt").touch()
    words = r"2 of 3 folders of .* hold no image: 'ben', 'cem'; .*\.jpeg, \.jpg"
    with pytest.raises(ValueError, match=words + r".*empty='skip' leaves such folders out"):
        image_folder(tmp_path)
    with pytest.warns(UserWarning, match="left out: " + words) as caught:
        people = image_folder(tmp_path, empty="skip")
    assert caught[0].filename == __file__
    assert people.names == ("ann",)
    assert people.labels.tolist() == [0, 0]


def test_what_is_left_out_is_never_everything(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    with pytest.raises(ValueError, match=r"1 of 1 folders of .* hold no image: 'ann'"):
        image_folder(tmp_path, empty="skip")
    with pytest.raises(ValueError, match="empty must be 'error' or 'skip', got True"):
        image_folder(tmp_path, empty=True)  # type: ignore[arg-type]


def test_one_image_each_is_allowed_with_a_warning(tmp_path: Path) -> None:
    _save(tmp_path, "ann/1.png", "ben/1.png")
    with pytest.warns(UserWarning, match="no identity of .* has a second image") as caught:
        people = image_folder(tmp_path)
    assert caught[0].filename == __file__
    assert people.labels.tolist() == [0, 1]
