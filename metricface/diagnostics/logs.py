"""Where the records of a training go."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

Record: TypeAlias = "dict[str, float]"
Log: TypeAlias = Callable[[Record], object]
"""Anything that takes a record: ``print``, ``wandb.log``, ``csv_log(path)``."""


def csv_log(file: str | os.PathLike[str]) -> Log:
    """A log that adds one line per record to a CSV file, begun anew.

    Every line is on disk as soon as it is logged: a training that dies leaves all it has logged.

    Args:
        file: the path.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     log = csv_log(Path(folder, "log.csv"))
        ...     _ = log({"step": 1.0, "loss": 0.5}), log({"step": 2.0, "loss": 0.25})
        ...     Path(folder, "log.csv").read_text().split()
        ['step,loss', '1.0,0.5', '2.0,0.25']
    """
    path = Path(file)
    fields: list[str] = []

    def log(record: Record) -> None:
        with path.open("a" if fields else "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            if not fields:
                fields.extend(record)
                writer.writerow(fields)
            writer.writerow([record[name] for name in fields])

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
