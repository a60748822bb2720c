"""Pairs of images by name, and CSV files that list them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.evaluation.protocols.lines import csv_rows, short
from metricface.given import as_count

_SAME = {"1": True, "true": True, "same": True, "0": False, "false": False, "different": False}


@dataclass(frozen=True)
class NamedPairs:
    """Pairs of images, or of videos, by name, in the order of the file."""

    first: tuple[str, ...]
    """One image of each pair."""
    second: tuple[str, ...]
    """The other."""
    same: tuple[bool, ...]
    """Whether both are of one identity."""
    folds: int
    """Number of equal parts the list is cut into for cross-validation."""

    @classmethod
    def collected(
        cls, file: str | os.PathLike[str], listed: Sequence[tuple[str, str, bool]], folds: int
    ) -> NamedPairs:
        """Pairs as a file lists them, one after the other.

        Args:
            file: for an error.
            listed: both names and the verdict of each pair.
            folds: equal parts of the list.

        Raises:
            ValueError: there are none.

        Example:
            >>> NamedPairs.collected("pairs.txt", [("a", "b", True)], 1).second
            ('b',)
        """
        if not listed:
            raise ValueError(f"{file} lists no pairs")
        first, second, same = zip(*listed, strict=True)
        return cls(first, second, same, folds)

    def rows(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """The pairs as rows of the embeddings, as :func:`verification` takes them.

        Args:
            names: name of the image of each embedding.

        Returns:
            int64 ``[T, 2]``.

        Raises:
            ValueError: a pair names an image that is not among the names, or names repeat.

        Example:
            >>> pairs = NamedPairs(("a", "b"), ("c", "a"), (True, False), 1)
            >>> pairs.rows(["c", "b", "a"]).tolist()
            [[2, 0], [1, 2]]
        """
        place = {name: row for row, name in enumerate(names)}
        if len(place) < len(names):
            raise ValueError(f"{len(names)} names hold only {len(place)} different ones")
        for number, pair in enumerate(zip(self.first, self.second, strict=True)):
            for name in pair:
                if name not in place:
                    raise ValueError(f"pair {number} needs {name!r}, which has no embedding")
        both = zip(self.first, self.second, strict=True)
        return np.array([[place[a], place[b]] for a, b in both], dtype=np.int64).reshape(-1, 2)


def read_csv_pairs(file: str | os.PathLike[str], *, folds: int = 10) -> NamedPairs:
    r"""Read a CSV of pairs, with the columns ``first``, ``second`` and ``same``.

    Args:
        file: the path; ``same`` is 1/0, true/false or same/different.
        folds: into how many parts the list is to be cut.

    Raises:
        ValueError: a column is missing or a line is damaged (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "pairs.csv")
        ...     _ = file.write_text("first,second,same\na.png,b.png,1\n")
        ...     read_csv_pairs(file).same
        (True,)
    """
    listed = []
    for where, row in csv_rows(file, ("first", "second", "same")):
        same = _SAME.get(row["same"].strip().lower())
        if same is None:
            raise ValueError(f"{where}: same must be 1 or 0, got {short(row['same'])}")
        listed.append((row["first"], row["second"], same))
    return NamedPairs.collected(file, listed, as_count("folds", folds))
