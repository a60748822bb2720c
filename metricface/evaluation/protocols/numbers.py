"""Lists of millions of lines that hold a few whole numbers each."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.evaluation.protocols.lines import DIGITS, Line, lines_of
from metricface.types import Labels, label_array

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NumberLines:
    r"""The form of a list whose lines hold a few whole numbers each.

    Python takes half a minute to part sixteen million lines, ``np.loadtxt`` two seconds. It reads
    all or nothing; where it finds something else, the line is sought for the error.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "list")
        ...     _ = file.write_text("1 20\n3 4\n")
        ...     NumberLines(2, "two numbers").read(file).tolist()
        [[1, 20], [3, 4]]
    """

    columns: int
    """Numbers of each line."""
    expected: str
    """What a line holds, for an error."""
    comma: bool = False
    """Whether commas part them, not spaces or tabs."""
    flag: bool = False
    """Whether the last of them is 0 or 1."""

    def read(self, file: str | os.PathLike[str]) -> Numbers:
        """The numbers of all lines, int64 ``[n, columns]``; empty lines are passed over.

        Args:
            file: the path.

        Raises:
            ValueError: a line is of another form, or there is none (the file and the line are
                named).
            OSError: the file cannot be read.
        """
        # The first line is looked at alone, so that a large foreign file is not read whole.
        first = next(lines_of(file), Line(f"{file}, line 1", ""))
        if not self._form().fullmatch(first.text):
            raise first.wrong(self.expected)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # older versions cut fractions off, with a warning
                table: Numbers = np.loadtxt(
                    os.fspath(file),
                    dtype=np.int64,
                    comments=None,
                    delimiter="," if self.comma else None,
                    ndmin=2,
                    encoding="utf-8-sig",
                )
        except (ValueError, Warning) as error:
            raise self._damage(file) from error
        if table.shape[1] != self.columns or table.min() < 0:
            raise self._damage(file)
        if self.flag and table[:, -1].max() > 1:
            raise self._damage(file)
        return table

    def _form(self) -> re.Pattern[str]:
        between = r"[ \t]*,[ \t]*" if self.comma else r"[ \t]+"
        number = rf"\d{{1,{DIGITS}}}"
        words = [number] * (self.columns - self.flag) + ["[01]"] * self.flag
        return re.compile(rf"[ \t]*{between.join(words)}[ \t]*", re.ASCII)

    def _damage(self, file: str | os.PathLike[str]) -> ValueError:
        """The error for the first line that is of another form."""
        form = self._form()
        for line in lines_of(file):
            if not form.fullmatch(line.text):
                return line.wrong(self.expected)
        return ValueError(f"{file}: expected {self.expected} in each line")


def rows_of(
    wanted: Numbers, names: Labels, what: str, *, missing: str = "has no embedding"
) -> Numbers:
    """Where each of some numbers stands among others.

    Args:
        wanted: int64 ``[T]``.
        names: ``[M]``, integers, each once.
        what: that needs them, for an error.
        missing: what is wrong with one that is not among them, for an error.

    Returns:
        int64 ``[T]``.

    Raises:
        ValueError: one is not among them, or they hold one twice.
        TypeError: they are no integers.

    Example:
        >>> rows_of(np.array([7, 4, 7]), [9, 7, 4], "pair").tolist()
        [1, 2, 1]
    """
    known = label_array(names, "names")
    if known.dtype.kind not in "iu":
        raise TypeError(f"names must be the numbers of templates, got {known.dtype}")
    order = np.argsort(known, kind="stable")
    known = known[order]
    if (known[1:] == known[:-1]).any():
        raise ValueError(f"{len(known)} names hold only {len(np.unique(known))} different ones")
    place = np.searchsorted(known, wanted)
    place[place == len(known)] = 0
    lost = known[place] != wanted if len(known) else np.ones(len(wanted), dtype=bool)
    if lost.any():
        first = int(lost.argmax())
        raise ValueError(f"{what} {first} needs template {wanted[first]}, which {missing}")
    return order[place].astype(np.int64, copy=False)
