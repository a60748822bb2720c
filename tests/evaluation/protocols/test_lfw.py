"""LFW's lists are read exactly, and nine folds' people are what a network may learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metricface.evaluation import (
    LfwPeople,
    NamedPairs,
    read_lfw_pairs,
    read_lfw_people,
)

PAIRS = "2\t1\nAnna_Lee\t1\t4\nAnna_Lee\t1\tBen\t12\nBen\t2\t3\nBen\t1\tCarl\t2\n"
PEOPLE = "2\n1\nAnna_Lee\t2\n2\nBen\t1\nCarl\t3\n"


def _write(folder: Path, text: str) -> Path:
    file = folder / "list.txt"
    file.write_text(text, encoding="utf-8")
    return file


def test_pairs_are_read(tmp_path: Path) -> None:
    found = read_lfw_pairs(_write(tmp_path, PAIRS))
    assert found == NamedPairs(
        first=("Anna_Lee/Anna_Lee_0001.jpg",) * 2 + ("Ben/Ben_0002.jpg", "Ben/Ben_0001.jpg"),
        second=(
            "Anna_Lee/Anna_Lee_0004.jpg",
            "Ben/Ben_0012.jpg",
            "Ben/Ben_0003.jpg",
            "Carl/Carl_0002.jpg",
        ),
        same=(True, False, True, False),
        folds=2,
    )
    assert read_lfw_pairs(_write(tmp_path, "1\nA\t1\t2\nA\t1\tB\t2\n"), suffix="").folds == 1


def test_people_of_folds_and_of_view_1_are_read(tmp_path: Path) -> None:
    expected = LfwPeople(("Anna_Lee", "Ben", "Carl"), (2, 1, 3), (0, 1, 1), 2)
    assert read_lfw_people(_write(tmp_path, PEOPLE)) == expected
    dev = read_lfw_people(_write(tmp_path, "2\nAnna_Lee\t2\nBen\t1\n"))
    assert dev == LfwPeople(("Anna_Lee", "Ben"), (2, 1), (0, 0), 1)
    assert read_lfw_people(_write(tmp_path, "1\n1\nBen\t3\n")).folds == 1


def test_who_is_tested_is_not_learned_from() -> None:
    people = LfwPeople(("Anna_Lee", "Ben", "Carl"), (2, 1, 3), (0, 1, 0), 2)
    images, names = people.images_without(0, suffix=".png")
    assert (images, names) == (["Ben/Ben_0001.png"], ["Ben"])
    images, names = people.images_without(1)
    assert images[-1] == "Carl/Carl_0003.jpg"
    assert names == ["Anna_Lee"] * 2 + ["Carl"] * 3
    assert len(people.images_without()[0]) == 6
    with pytest.raises(ValueError, match="fold must be below 2, got 2"):
        people.images_without(2)
    with pytest.raises(ValueError, match="fold must be at least 0, got -1"):
        people.images_without(-1)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_lfw_pairs, "ten\t300\n", "line 1: expected the folds"),
        (read_lfw_pairs, PAIRS[:-12], r"should hold 2 × 2 × 1 pairs|line 5: expected"),
        (read_lfw_pairs, PAIRS.replace("Ben\t2\t3\n", ""), "2 × 2 × 1 pairs but holds 3"),
        (read_lfw_pairs, PAIRS.replace("12", "x"), "line 3: expected 'name i j'"),
        (read_lfw_pairs, PAIRS.replace("12", "²"), "line 3: expected 'name i j'"),
        (read_lfw_pairs, PAIRS.replace("12", "9" * 5000), r"line 3: expected 'name i j'.*\.\.\.$"),
        (read_lfw_pairs, "0\t0\n", "it is cut off or damaged"),
        (read_lfw_people, PEOPLE[:-7], "ends after 1 of 2 people of fold 1"),
        (read_lfw_people, "2\n1\nAnna\t2\n", "ends before fold 1"),
        (read_lfw_people, PEOPLE.replace("Carl\t3", "Carl"), "line 6: expected 'name images'"),
        (read_lfw_people, PEOPLE.replace("Carl\t3", "Carl\tx"), "line 6: expected 'name images'"),
        (read_lfw_people, PEOPLE.replace("Carl", "Anna_Lee"), "line 6: .Anna_Lee. is listed"),
        (read_lfw_people, PEOPLE + "Dora\t1\n", "all 2 folds are complete, but here is 'Dora"),
        (read_lfw_people, "2\n1\nAnna\t2\nBen\t2\n", "line 4: expected the number of people of f"),
        (read_lfw_people, "0\n", "lists no people"),
    ],
)
def test_damage_is_named(
    read: Callable[[Path], object], text: str, message: str, tmp_path: Path
) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read(file)
    assert str(file) in str(caught.value)


def test_what_is_not_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_bytes(b"10\t300\nAn\xff")
    with pytest.raises(ValueError, match="line 2 is not text: byte 9 is not UTF-8"):
        read_lfw_pairs(file)
