from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metricface.data import image_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for value, name in enumerate(["a.png", "b.png", "c, d.png"]):
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(tmp_path / name)
    return tmp_path


def _list(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "faces.csv"
    file.write_bytes(text.encode(encoding))
    return file


def test_lines_become_images_in_their_order(folder: Path) -> None:
    file = _list(folder, "path,label\nb.png,zoé\na.png,ann\n./b.png,zoé\n")
    with pytest.warns(UserWarning, match=r"twice or more: \./b.png \(lines 2 and 4\)") as caught:
        people = image_list(file)
    assert caught[0].filename == __file__
    assert people.names == ("ann", "zoé")
    assert people.labels.tolist() == [1, 0, 1]
    assert people.load().images[:, 0, 0].tolist() == [1, 0, 1]
    assert list(people.paths) == [folder / "b.png", folder / "a.png", folder / "b.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_spreadsheets_write(folder: Path, encoding: str, newline: str) -> None:
    lines = ["path,age, label ", '"c, d.png",31,7', "", "a.png,32,007,", 'b.png,"3', '3", 7']
    people = image_list(_list(folder, newline.join(lines), encoding))
    assert people.names == ("007", "7")
    assert people.labels.tolist() == [1, 0, 1]
    assert [path.name for path in people.paths] == ["c, d.png", "a.png", "b.png"]


def test_columns_and_what_stands_between_them_are_named(folder: Path) -> None:
    file = _list(folder, "label;file;who\n3;a.png;x\n4;b.png;x\n5;._a.png;x\n")
    with pytest.warns(UserWarning, match=r"passed over: 1 files of .*faces\.csv") as caught:
        people = image_list(file, path_column="file", label_column="who", delimiter=";")
    assert caught[0].filename == __file__
    assert people.names == ("x",)
    assert [path.name for path in people.paths] == ["a.png", "b.png"]
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, r"must name one column 'path', got \['label;file;who'\]; .* with delimiter="),
        ({"delimiter": ";"}, "'path', got .* are named with path_column= and label_column="),
        ({"delimiter": ", "}, "delimiter must be one character, got ', '"),
        ({"path_column": "label"}, "path_column and label_column are both 'label'"),
    ]
    for given, words in cases:
        with pytest.raises(ValueError, match=words):
            image_list(file, **given)


def test_a_transform_is_passed_on(folder: Path) -> None:
    file = _list(folder, "path,label\na.png,x\nb.png,x\n")
    assert image_list(file, transform=lambda image: image[:, :1])[1][0].shape == (1, 1, 3)


def test_another_root_and_absolute_paths(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("lists")
    file = _list(elsewhere, f"path,label\na.png,x\n{folder / 'b.png'},x\n")
    assert image_list(file, root=folder, size=(4, 5)).load().images.shape == (2, 4, 5)
    with pytest.raises(FileNotFoundError, match=r"faces\.csv names .*a\.png \(line 2\)$"):
        image_list(file)


def test_missing_files_are_named_with_their_lines_and_counted(folder: Path) -> None:
    rows = "".join(f"no{i}.png,x\n" for i in range(5))
    file = _list(folder, f"path,label\na.png,x\n{rows}")
    words = r"faces\.csv .*no0\.png \(line 3\), .*no1\.png \(line 4\), .* \(line 5\) and 2 more$"
    with pytest.raises(FileNotFoundError, match=words):
        image_list(file)
    with pytest.raises(FileNotFoundError, match=r"other\.csv"):
        image_list(folder / "other.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"must name one column 'path', got \[\]"),
        ("path;label\na.png;x\n", r"one column 'path', got \['path;label'\]"),
        ("path,name\na.png,x\n", r"one column 'label', got \['path', 'name'\]"),
        ("path,label,label\na.png,x,y\n", "one column 'label'"),
        ("path,label\n", "lists no image"),
        ("path,label\na.png,x\nb.png\n", r"line 3 of .*faces\.csv has only 1 columns"),
        ("path,label\na.png,x\n,x\n", r"line 3 of .*faces\.csv lacks a path or a label"),
        ("path,label\na.png, \n", "line 2 of .* lacks a path or a label"),
        (
            "path,label\na.png,x\nb.png,x\na.png,y\n",
            r"a\.png two labels: 'x' in line 2 and 'y' in line 4",
        ),
        (
            "path,label\na.png,x\nb.png,x\nsub/../a.png,y\n",
            r"a\.png two labels: 'x' in line 2 and 'y' in line 4",
        ),
        (
            "path,label\na.png,Smith, John\n",
            r"line 2 of .* has 3 columns, the first line 2: .* \['a.png', 'Smith', ' John'\]",
        ),
        ('path,label\na.png,x\nb.png,"x\na.png,x\n', "line 3 of .*: unexpected end of data"),
        ('path,label\na.png,x\nb.png,"x\na.png,"x"\n', "line 3 of .*: .* expected after"),
        ('path,label\na.png,x\nb.png,"x\na.png,x\n"\n', "line 3 of .* over several lines"),
        ("path,label\na.png," + "x" * 200_000, r"line 2 of .*faces\.csv: field larger"),
    ],
)
def test_faults_of_the_list(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        image_list(_list(folder, text))


def test_another_encoding(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"faces\.csv is not UTF-8 text"):
        image_list(_list(folder, "path,label\na.png,zoé\n", "latin-1"))


def test_a_label_for_each_image_warns(folder: Path) -> None:
    with pytest.warns(UserWarning, match=r"no identity of .*faces\.csv has a second image"):
        image_list(_list(folder, "path,label\na.png,1\nb.png,2\n"))
