"""Lists of pairs as benchmarks publish them: LFW's ``pairs.txt``, and CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_SAME = {"1": True, "true": True, "same": True, "0": False, "false": False, "different": False}


@dataclass(frozen=True)
class NamedPairs:
    """Pairs of images by name, in the order of the file."""

    first: tuple[str, ...]
    """One image of each pair."""
    second: tuple[str, ...]
    """The other."""
    same: tuple[bool, ...]
    """Whether both are of one identity."""
    folds: int
    """Number of equal parts the list is cut into for cross-validation."""

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


def read_lfw_pairs(file: str | os.PathLike[str], *, suffix: str = ".jpg") -> NamedPairs:
    r"""Read LFW's ``pairs.txt``.

    The first line holds the folds and the number of pairs of each kind in one (``10 300``), or
    that number alone. A line of three, ``name i j``, is a genuine pair; one of four,
    ``name i other j``, an impostor pair. Images are named as LFW's files,
    ``name/name_0001.jpg``.

    Args:
        file: the path.
        suffix: what the names end in.

    Raises:
        ValueError: the file is cut off or a line is damaged (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "pairs.txt")
        ...     _ = file.write_text("1\t1\nAnna\t1\t4\nAnna\t1\tBen\t2\n")
        ...     read_lfw_pairs(file).second
        ('Anna/Anna_0004.jpg', 'Ben/Ben_0002.jpg')

    Reference:
        Huang et al., "Labeled Faces in the Wild" (2007), section 4.
    """
    lines = _text(file).split("\n")
    head = lines[0].split()
    if len(head) not in (1, 2) or not all(word.isdigit() for word in head):
        raise ValueError(f"{file}, line 1: expected the folds and pairs per fold, got {lines[0]!r}")
    folds, each = (1, int(head[0])) if len(head) == 1 else (int(head[0]), int(head[1]))
    listed = []
    for number, line in enumerate(lines[1:], 2):
        words = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        listed.append(_lfw_pair(words, suffix, f"{file}, line {number}", line))
    if folds < 1 or len(listed) != 2 * folds * each:
        raise ValueError(
            f"{file} should hold {folds} × 2 × {each} pairs but holds {len(listed)}: "
            "it is cut off or damaged"
        )
    return _collected(listed, folds)


def read_csv_pairs(file: str | os.PathLike[str], *, folds: int = 10) -> NamedPairs:
    r"""Read a CSV of pairs, with the columns ``first``, ``second`` and ``same``.

    Args:
        file: the path; ``same`` is 1/0, true/false or same/different.
        folds: into how many parts the list is to be cut.

    Raises:
        ValueError: a column is missing or a line is damaged (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "pairs.csv")
        ...     _ = file.write_text("first,second,same\na.png,b.png,1\n")
        ...     read_csv_pairs(file).same
        (True,)
    """
    table = csv.DictReader(_text(file).splitlines(), strict=True)
    missing = {"first", "second", "same"} - set(table.fieldnames or ())
    if missing:
        raise ValueError(f"{file} lacks the columns {', '.join(sorted(missing))}")
    listed = []
    try:
        for row in table:
            where = f"{file}, line {table.line_num}"
            words = [row["first"], row["second"], row["same"]]
            if None in row or not all(words):
                raise ValueError(f"{where}: expected first, second and same")
            if row["same"].strip().lower() not in _SAME:
                raise ValueError(f"{where}: same must be 1 or 0, got {row['same']!r}")
            listed.append((row["first"], row["second"], _SAME[row["same"].strip().lower()]))
    except csv.Error as error:
        raise ValueError(f"{file}, line {table.line_num + 1}: {error}") from error
    return _collected(listed, folds)


def _text(file: str | os.PathLike[str]) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not text: byte {error.start} is not UTF-8") from error


def _lfw_pair(words: list[str], suffix: str, where: str, line: str) -> tuple[str, str, bool]:
    words = [word.strip() for word in words]
    if len(words) == 3:
        words = [words[0], words[1], words[0], words[2]]
        same = True
    else:
        same = False
    if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
        raise ValueError(f"{where}: expected 'name i j' or 'name i other j', got {line!r}")
    one, i, other, j = words
    return f"{one}/{one}_{int(i):04d}{suffix}", f"{other}/{other}_{int(j):04d}{suffix}", same


def _collected(listed: Iterable[tuple[str, str, bool]], folds: int) -> NamedPairs:
    first, second, same = zip(*listed, strict=True) if listed else ((), (), ())
    return NamedPairs(first, second, same, folds)
