"""Pairs of a list, as rows of the embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from metricface.cli.tables import Table
from metricface.evaluation import read_csv_pairs, read_lfw_pairs


class ListedPairs(NamedTuple):
    """Pairs of a list as rows of the embeddings."""

    rows: npt.NDArray[np.int64]
    """``[T, 2]``."""
    same: npt.NDArray[np.bool_]
    """Whether each is of one identity ``[T]``."""


def read_pairs(
    file: Path, read: Table, embeddings: Path, labels: Path, folds: int
) -> tuple[ListedPairs, int]:
    """The pairs of a list of named images, and how many folds it has.

    Args:
        file: a CSV, or LFW's ``pairs.txt``.
        read: the embeddings with their names.
        embeddings: their file, for errors.
        labels: that of their labels, for errors.
        folds: of a list that has none of its own.

    Raises:
        ValueError: no names, an image that is not among them, or pairs that contradict themselves
            or the labels.
        OSError: the file cannot be read.
    """
    if read.names is None:
        raise ValueError(f"{embeddings} holds no names, by which {file} lists its images")
    csv = file.suffix.lower() == ".csv"
    named = read_csv_pairs(file, folds=folds) if csv else read_lfw_pairs(file)
    try:
        listed = ListedPairs(named.rows(read.names), np.array(named.same))
    except ValueError as error:
        raise ValueError(f"{file} and {embeddings} do not fit: {error}") from error
    _refuse_contradictions(listed, read.names, file)
    if len(read.labels):
        _refuse_other_labels(listed, read.names, read.labels, file, labels)
    return listed, folds if named.folds == 1 else named.folds


def _refuse_contradictions(listed: ListedPairs, names: list[str], file: Path) -> None:
    """Raise for an image with itself, and for a pair that is listed with both verdicts."""
    verdicts: dict[tuple[int, int], tuple[int, bool]] = {}
    rows: list[list[int]] = listed.rows.tolist()
    for number, ((first, second), same) in enumerate(zip(rows, listed.same.tolist(), strict=True)):
        if first == second:
            raise ValueError(f"{file}: pair {number} is {names[first]!r} and itself: leave it out")
        either = min(first, second), max(first, second)
        before, verdict = verdicts.setdefault(either, (number, same))
        if verdict != same:
            raise ValueError(
                f"{file}: pairs {before} and {number} are both of {names[first]!r} and "
                f"{names[second]!r}, one the same and one different: leave one out"
            )


def _refuse_other_labels(
    listed: ListedPairs, names: list[str], known: npt.NDArray[Any], file: Path, labels: Path
) -> None:
    """Raise for the first pair whose labels say something else."""
    first, second = known[listed.rows].T
    wrong = np.flatnonzero((first == second) != listed.same)
    if len(wrong):
        number = int(wrong[0])
        one, other = (names[row] for row in listed.rows[number])
        verdict = "the same" if listed.same[number] else "different"
        raise ValueError(
            f"{file}: pair {number}, {one!r} and {other!r}, is {verdict} there, but {labels} "
            f"labels them {str(first[number])!r} and {str(second[number])!r}: mend the list or "
            "the labels"
        )
