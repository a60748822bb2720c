"""CSV lists of pairs are read exactly, and damage is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from metricface.evaluation import NamedPairs, read_csv_pairs


def _write(folder: Path, text: str) -> Path:
    file = folder / "pairs.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_pairs_become_rows() -> None:
    pairs = NamedPairs(("a", "c"), ("b", "a"), (True, False), 1)
    assert pairs.rows(["c", "a", "b"]).tolist() == [[1, 2], [0, 1]]
    with pytest.raises(ValueError, match="pair 1 needs 'c', which has no embedding"):
        pairs.rows(["a", "b"])
    with pytest.raises(ValueError, match="3 names hold only 2 different"):
        pairs.rows(["a", "b", "a"])


def test_csv_is_read_whatever_the_order_of_columns(tmp_path: Path) -> None:
    text = 'same,second,first\nTrue,"b,1.png",a.png\n\n0,c.png,b.png\n'
    found = read_csv_pairs(_write(tmp_path, text), folds=5)
    assert found == NamedPairs(("a.png", "b.png"), ("b,1.png", "c.png"), (True, False), 5)
    with pytest.raises(ValueError, match="folds must be at least 1, got 0"):
        read_csv_pairs(_write(tmp_path, text), folds=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first,second\n", "lacks the columns same"),
        ("first,second,same\n", "lists no pairs"),
        ("first,second,same\na,b,1\n\na,b\n", "line 4: expected first"),
        ("first,second,same\na,b,1,4\n", "line 2: expected first"),
        ("first,second,same\na,,1\n", "line 2: expected first"),
        ("first,second,same\na,b,maybe\n", "line 2: same must be 1 or 0, got 'maybe'"),
        ('first,second,same\n"a"x,b,1\n', "line 2: "),
        ('first,second,same\na,b,1\n"a,b,1\nc,d,0\n', "line 4: "),
    ],
)
def test_damage_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read_csv_pairs(file)
    assert str(file) in str(caught.value)
