"""Where the records of a training go."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from metricface.files import write_whole

Record: TypeAlias = "dict[str, float]"
Log: TypeAlias = Callable[[Record], object]
"""Anything that takes a record: ``print``, ``wandb.log``, ``csv_log(path)``."""

Rows: TypeAlias = "Sequence[Sequence[str | float]]"


def csv_log(file: str | os.PathLike[str]) -> Log:
    """A log that adds one line per record to a CSV file, and goes on with one that is there.

    Every line is on disk as soon as it is logged: a training that dies leaves all it has logged.
    One that is resumed goes on below, and what it logs again, the rows of the first new ``step``
    and of those after it, replaces what was there: each step stands once, as if the training had
    never stopped, and one that begins anew begins the file anew.

    Args:
        file: the path.

    Raises:
        ValueError: at the first record, of a file that holds anything but such records.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     log = csv_log(Path(folder, "log.csv"))
        ...     _ = log({"step": 1.0, "loss": 0.5}), log({"step": 2.0, "loss": 0.5})
        ...     _ = csv_log(Path(folder, "log.csv"))({"step": 2.0, "loss": 0.25})
        ...     Path(folder, "log.csv").read_text().split()
        ['step,loss', '1.0,0.5', '2.0,0.25']
    """
    path = Path(file)
    fields: list[str] = []

    def log(record: Record) -> None:
        begun = bool(fields) or _goes_on(path, record)
        if not fields:
            fields.extend(record)
        rows: Rows = [[record[name] for name in fields]]
        with path.open("a", newline="", encoding="utf-8") as stream:
            _write(stream, rows if begun else [fields, *rows])

    return log


def tensorboard_log(writer: Any, *, prefix: str = "batch/") -> Log:
    """A log that adds every number of a record as a scalar of TensorBoard.

    Args:
        writer: a ``torch.utils.tensorboard.SummaryWriter``, or anything with its ``add_scalar``.
        prefix: written before the names.

    Example:
        >>> from unittest.mock import Mock
        >>> writer = Mock()
        >>> tensorboard_log(writer)({"step": 3.0, "loss": 0.5})
        >>> writer.add_scalar.call_args.args
        ('batch/loss', 0.5, 3)
    """

    def log(record: Record) -> None:
        for name, value in record.items():
            if name != "step":
                writer.add_scalar(prefix + name, value, int(record["step"]))

    return log


def _goes_on(path: Path, record: Record) -> bool:
    """Whether rows of the record's columns are there, all of them now of steps before its own."""
    text = path.read_bytes().decode() if path.is_file() else ""
    if not text:
        return False
    columns, *rows = csv.reader(io.StringIO(text, newline=""))
    if columns != list(record):
        raise ValueError(
            f"{path} holds {', '.join(columns)!r} in place of the columns of this log, "
            f"{', '.join(record)}: give another file, or move that one away"
        )
    whole = text.endswith("\n")
    kept = rows if whole or not rows else rows[:-1]  # the machine stopped while it was written
    if "step" in record:
        place = columns.index("step")
        kept = [row for row in kept if float(row[place]) < record["step"]]
    if kept != rows or not whole:
        write_whole(path.resolve(), partial(_rewrite, rows=[columns, *kept]))
    return True


def _rewrite(part: Path, rows: Rows) -> None:
    with part.open("w", newline="", encoding="utf-8") as stream:
        _write(stream, rows)


def _write(stream: TextIO, rows: Rows) -> None:
    csv.writer(stream, lineterminator="\n").writerows(rows)
