"""The table of a folder of crops: what was found in each photograph, and with which settings."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.data.alignment.landmarks import ANY_NAME, POINTS
from metricface.files import write_whole

#: What a run leaves beside the crops: the table, its settings, and meanwhile a journal.
TABLE, _SETTINGS, _JOURNAL = "faces.csv", "align.json", ".faces.journal"

NUMBERS = ("left", "top", "right", "bottom", "score", *POINTS, *"abcdef")
FILE = ("bytes", "modified")
"""Columns of the photograph, by which another one under its name is told."""
_TEXTS = ("photograph", "crop", "reason")

NO_FACE, NO_LANDMARKS = "no face was found", "no landmarks were given"
GONE = "the photograph is gone"


class CropTable:
    """The rows of a folder of crops, by photograph, of its table and of a journal that was left.

    Args:
        folder: of the crops.

    Example:
        >>> import tempfile
        >>> table = CropTable(Path(tempfile.mkdtemp()))
        >>> with table.journal() as add:
        ...     add({"photograph": "anna.jpg", "crop": "", "reason": NO_FACE})
        >>> table.rows()["anna.jpg"]["reason"]
        'no face was found'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """The same as before, or a folder without crops.

        Raises:
            ValueError: the crops were made with others.
        """
        file = self.folder / _SETTINGS
        if not file.exists():
            text = json.dumps(settings, indent=2) + "\n"
            write_whole(file, lambda part: part.write_text(text, encoding="utf-8"))
            return
        before = json.loads(file.read_text(encoding="utf-8"))
        other = [name for name in settings if before.get(name) != settings[name]]
        if other:
            both = (before.get(other[0]), settings[other[0]])
            was, now = (shorten(str(each), 60) for each in both)
            raise ValueError(
                f"{self.folder} holds crops with another {other[0]}, {was} in place of {now}: give "
                "another folder, or remove this one"
            )

    def rows(self) -> dict[str, dict[str, Any]]:
        """What earlier runs found, by photograph; the journal's word is the later one."""
        rows: dict[str, dict[str, Any]] = {}
        with (
            suppress(FileNotFoundError),
            (self.folder / TABLE).open(newline="", encoding="utf-8", errors=ANY_NAME) as table,
        ):
            for row in csv.DictReader(table):
                rows[row["photograph"]] = {
                    name: value if name in _TEXTS else _number(value) for name, value in row.items()
                }
                if row["reason"] == GONE:  # until it is known whether it still is
                    rows[row["photograph"]]["reason"] = ""
        with suppress(FileNotFoundError):
            for line in (self.folder / _JOURNAL).read_text(encoding="utf-8").splitlines():
                with suppress(json.JSONDecodeError):  # the line that was being written
                    row = json.loads(line)
                    rows[row["photograph"]] = row
        return rows

    def has_crop(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's crop is there."""
        return bool(row["crop"]) and (self.folder / str(row["crop"])).is_file()

    @contextmanager
    def journal(self) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """What adds a row, at once, so that a run that is killed has it."""
        with (self.folder / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write("\n")  # after a line that a killed run was writing

            def add(row: Mapping[str, Any]) -> None:
                journal.write(json.dumps(row) + "\n")
                journal.flush()

            yield add

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make these the table; the journal has nothing to add and goes."""

        def fill(part: Path) -> None:
            with part.open("w", newline="", encoding="utf-8", errors=ANY_NAME) as table:
                writer = csv.writer(table, lineterminator="\n")
                header = (*_TEXTS, *NUMBERS, *FILE)
                writer.writerow(header)
                writer.writerows([_text(row.get(name)) for name in header] for row in rows)

        write_whole(self.folder / TABLE, fill)
        (self.folder / _JOURNAL).unlink()


def as_told(numbers: npt.ArrayLike) -> list[float | None]:
    """Numbers as a row holds them.

    Example:
        >>> as_told([0.12345678, float("nan")])
        [0.123457, None]
    """
    every = np.asarray(numbers, dtype=np.float64).ravel().tolist()
    return [None if np.isnan(number) else round(number, 6) for number in every]


def _number(text: str | None) -> float | None:
    return (int(text) if text.isdigit() else float(text)) if text else None


def _text(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
