"""Pair lists are read exactly, and damage is named with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metricface.evaluation import NamedPairs, read_csv_pairs, read_lfw_pairs

LFW = "2\t1\nAnna_Lee\t1\t4\nAnna_Lee\t1\tBen\t12\nBen\t2\t3\nBen\t1\tCarl\t2\n"


def _write(folder: Path, text: str, name: str = "pairs.txt") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_lfws_file_is_read(tmp_path: Path) -> None:
    found = read_lfw_pairs(_write(tmp_path, LFW))
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


def test_pairs_become_rows() -> None:
    pairs = NamedPairs(("a", "c"), ("b", "a"), (True, False), 1)
    assert pairs.rows(["c", "a", "b"]).tolist() == [[1, 2], [0, 1]]
    with pytest.raises(ValueError, match="pair 1 needs 'c', which has no embedding"):
        pairs.rows(["a", "b"])
    with pytest.raises(ValueError, match="3 names hold only 2 different"):
        pairs.rows(["a", "b", "a"])


def test_csv_is_read_whatever_the_order_of_columns(tmp_path: Path) -> None:
    text = 'same,second,first\nTrue,"b,1.png",a.png\n0,c.png,b.png\n'
    found = read_csv_pairs(_write(tmp_path, text), folds=5)
    assert found == NamedPairs(("a.png", "b.png"), ("b,1.png", "c.png"), (True, False), 5)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_lfw_pairs, "", "line 1: expected the folds"),
        (read_lfw_pairs, "ten\t300\n", "line 1: expected the folds"),
        (read_lfw_pairs, LFW[:-12], r"should hold 2 × 2 × 1 pairs|line 5: expected"),
        (read_lfw_pairs, LFW.replace("Ben\t2\t3\n", ""), "should hold 2 × 2 × 1 pairs but holds 3"),
        (read_lfw_pairs, LFW.replace("12", "x"), "line 3: expected 'name i j'"),
        (read_csv_pairs, "first,second\n", "lacks the columns same"),
        (read_csv_pairs, "first,second,same\na,b,1\na,b\n", "line 3: expected first"),
        (read_csv_pairs, "first,second,same\na,b,1,4\n", "line 2: expected first"),
        (read_csv_pairs, "first,second,same\na,b,maybe\n", "line 2: same must be 1 or 0"),
        (read_csv_pairs, 'first,second,same\n"a"x,b,1\n', "line 2: "),
    ],
)
def test_damage_is_named(
    read: Callable[[Path], NamedPairs], text: str, message: str, tmp_path: Path
) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read(file)
    assert str(file) in str(caught.value)


def test_what_is_not_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_bytes(b"10\t300\nAn\xff")
    with pytest.raises(ValueError, match="is not text: byte 9 is not UTF-8"):
        read_lfw_pairs(file)
