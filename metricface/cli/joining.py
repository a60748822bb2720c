"""Two files that belong together: joined by the names of images, compared by their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def refuse_repeated(names: Sequence[str], file: Path, why: str) -> None:
    """Raise if a name stands twice, so that it does not say which row is meant.

    Args:
        names: one for each row.
        file: where they stand, for the error.
        why: what they are needed for, for the error.

    Raises:
        ValueError: one stands twice (both rows are named).

    Example:
        >>> refuse_repeated(["a", "b", "a"], Path("x.csv"), "labels are joined by it")
        Traceback (most recent call last):
        ...
        ValueError: x.csv: the name 'a' stands in rows 0 and 2, but labels are joined by it: \
give each image a name of its own
    """
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        first = rows.setdefault(name, row)
        if first != row:
            raise ValueError(
                f"{file}: the name {name!r} stands in rows {first} and {row}, but {why}: give each "
                "image a name of its own"
            )


def joined_rows(
    names: Sequence[str], file: Path, others: Sequence[str], other: Path
) -> npt.NDArray[np.int64]:
    """The row of another file that each name of a file has; as they lie where names are equal.

    Args:
        names: of the file's rows.
        file: for the error.
        others: of the other's rows, as many.
        other: holds the labels, for the error.

    Raises:
        ValueError: the names are not the same, or repeat and so join nothing.

    Example:
        >>> joined_rows(["a", "b"], Path("x.csv"), ["b", "a"], Path("labels.csv"))
        array([1, 0])
    """
    if list(names) == list(others):
        return np.arange(len(names))
    for each, of in ((names, file), (others, other)):
        refuse_repeated(each, of, f"labels of {other} are joined to {file} by it")
    rows = {name: row for row, name in enumerate(others)}
    for row, name in enumerate(names):
        if name not in rows:
            raise ValueError(
                f"{file}, row {row}: {other} has no label for the name {name!r}; where both files "
                "have names, they must be the same"
            )
    return np.array([rows[name] for name in names], dtype=np.int64)


def comparable(
    labels: npt.NDArray[Any], file: Path, others: npt.NDArray[Any], other: Path
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Labels of two files as they are, or both as text where one of them has text.

    Args:
        labels: of the file's rows.
        file: for the error.
        others: of the other's rows.
        other: for the error.

    Raises:
        ValueError: they have none in common.

    Example:
        >>> comparable(np.array([7]), Path("q.csv"), np.array(["7", "x"]), Path("g.csv"))
        (array(['7'], dtype='<U21'), array(['7', 'x'], dtype='<U1'))
    """
    if (labels.dtype.kind == "U") != (others.dtype.kind == "U"):
        labels, others = labels.astype(str), others.astype(str)
    if not np.isin(labels, others).any():
        raise ValueError(
            f"no label of {file} is among those of {other}: {str(labels[0])!r} and "
            f"{str(others[0])!r}, for example"
        )
    return labels, others
