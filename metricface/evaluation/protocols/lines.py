"""Lines of a list, one at a time, and the errors for files that are no list."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

LONGEST = 1 << 16
"""Bytes of the longest line; a file with a longer one is something else."""
DIGITS = 18
"""Digits of the largest number that is read, so that every one fits into 64 bits."""

_SHOWN = 80  # characters of what an error shows


class Line(NamedTuple):
    """A line of a file, without its end."""

    where: str
    """The file and the line's number, for an error."""
    text: str

    def wrong(self, expected: str) -> ValueError:
        """The error that says what was expected and what is there.

        Example:
            >>> Line("pairs.txt, line 3", "Anna").wrong("'name i j'")
            ValueError("pairs.txt, line 3: expected 'name i j', got 'Anna'")
        """
        return ValueError(f"{self.where}: expected {expected}, got {short(self.text)}")


def short(value: object) -> str:
    """A value as an error shows it, cut where it is long.

    Example:
        >>> short("Anna"), len(short("a" * 1000))
        ("'Anna'", 80)
    """
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


def lines_of(file: str | os.PathLike[str]) -> Iterator[Line]:
    r"""The lines of a text file that hold anything, whatever system wrote it.

    Lines may end as on Windows, and the file may begin with a byte order mark. One line is read at
    a time, so that a large file which is no list costs no memory.

    Args:
        file: the path.

    Raises:
        ValueError: a line is not UTF-8 or longer than any of a list (the file and line are named).
        OSError: the file cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "list")
        ...     _ = file.write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo")
        ...     [line.text for line in lines_of(file)]
        ['one', 'two']
    """
    place = 0
    with Path(file).open("rb") as stream:
        for number in count(1):
            raw = stream.readline(LONGEST + 1)
            if not raw:
                return
            where = f"{file}, line {number}"
            if len(raw) > LONGEST:
                raise ValueError(f"{where} has more than {LONGEST} bytes: the file is no such list")
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                at = place + error.start
                raise ValueError(f"{where} is not text: byte {at} is not UTF-8") from error
            place += len(raw)
            if text.strip():
                yield Line(where, text)


def is_number(word: str) -> bool:
    """Whether a word is a whole number of ASCII digits that fits into 64 bits.

    Example:
        >>> [is_number(word) for word in ("12", "-1", "²", "9" * 19, "")]
        [True, False, False, False, False]
    """
    return word.isascii() and word.isdigit() and len(word) <= DIGITS


def csv_rows(
    file: str | os.PathLike[str], columns: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    r"""The rows of a CSV whose first line names its columns, each with its place in the file.

    Args:
        file: the path.
        columns: which there have to be; each has a value in every row.

    Raises:
        ValueError: a column is missing or a line is damaged (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "list.csv")
        ...     _ = file.write_text("name,age\nAnna,7\n")
        ...     [row for _, row in csv_rows(file, ["age"])]
        [{'name': 'Anna', 'age': '7'}]
    """
    where = f"{file}, line 1"

    def texts() -> Iterator[str]:
        nonlocal where
        for line in lines_of(file):
            where = line.where
            yield f"{line.text}\n"

    table = csv.DictReader(texts(), strict=True)
    try:
        names = [name.strip() for name in table.fieldnames or ()]
        missing = [column for column in columns if column not in names]
        if missing:
            raise ValueError(
                f"{file} lacks the columns {', '.join(missing)}: it has {short(names)}"
            )
        table.fieldnames = names
        for row in table:
            if None in row or None in row.values() or not all(row[name] for name in columns):
                raise ValueError(
                    f"{where}: expected {', '.join(columns)}, got {short([*row.values()])}"
                )
            yield where, row
    except csv.Error as error:
        raise ValueError(f"{where}: {error}") from error
