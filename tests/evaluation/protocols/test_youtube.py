"""Pairs of videos in splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metricface.evaluation import NamedPairs, mean_templates, read_ytf_pairs, verification

HEAD = "split number, first name, second name, is same, is same\n"
LINES = "1, Anna_Lee/3, Anna_Lee/1, 1, 1\n1, Ben/0, Anna_Lee/3, 0, 0\n"
MORE = LINES.replace("1, A", "2, A").replace("1, B", "2, B")


def _write(folder: Path, text: str) -> Path:
    file = folder / "splits.txt"
    file.write_text(text, encoding="utf-8")
    return file


def test_both_forms_are_read(tmp_path: Path) -> None:
    expected = NamedPairs(
        ("Anna_Lee/3", "Ben/0") * 2, ("Anna_Lee/1", "Anna_Lee/3") * 2, (True, False) * 2, 2
    )
    assert read_ytf_pairs(_write(tmp_path, HEAD + LINES + MORE)) == expected
    numbered = (LINES + MORE).replace(", Anna_Lee/3, Anna", ", 1, Anna_Lee/3, Anna")
    numbered = numbered.replace(", Ben", ", 2, Ben")
    assert read_ytf_pairs(_write(tmp_path, HEAD + numbered)) == expected


def test_the_last_verdict_counts(tmp_path: Path) -> None:
    text = HEAD + LINES.replace("1, 1\n", "1, 0\n")
    assert read_ytf_pairs(_write(tmp_path, text)).same == (False, False)


def test_videos_are_templates(tmp_path: Path) -> None:
    pairs = read_ytf_pairs(_write(tmp_path, HEAD + LINES + MORE))
    frames = ["Anna_Lee/3"] * 3 + ["Ben/0"] * 2 + ["Anna_Lee/1"]
    x = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [1, 0]])
    videos = mean_templates(x, frames)
    rows = pairs.rows(videos.names.tolist())
    assert verification(
        videos.embeddings, pairs=rows, same=pairs.same, folds=pairs.folds, fars=(0.5,)
    ).accuracies == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINES, "line 1: expected headings"),
        (HEAD, "lists no pairs"),
        (HEAD + LINES[:-10], "line 3: expected 'split, first video"),
        (HEAD + LINES + MORE.splitlines()[0], r"splits of \[2, 1\] pairs"),
        (HEAD + MORE, "line 2: expected split 1"),
        (HEAD + LINES + MORE.replace("2, ", "4, "), "line 4: expected split 1 or 2"),
        (HEAD + LINES.replace("0, 0", "0, 2"), "line 3: expected 'split"),
        (HEAD + LINES.replace("Ben/0", ""), "line 3: expected 'split"),
    ],
)
def test_damage_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read_ytf_pairs(file)
    assert str(file) in str(caught.value)
