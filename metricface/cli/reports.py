"""Reports: what was read, and lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metricface.cli.outputs import say
from metricface.cli.tables import Table

_LONGEST = 32  # characters of a file's name in a picture


def size_of(read: Table, file: Path) -> dict[str, Any]:
    """What was read; one column too many shows in the number of dimensions."""
    samples, dimensions = read.embeddings.shape
    return {"embeddings": str(file), "samples": samples, "dimensions": dimensions}


def short_name(file: Path) -> str:
    """The name of a file, in the space that a picture has for it.

    Example:
        >>> short_name(Path("faces/x.npy")), len(short_name(Path("x" * 200)))
        ('x.npy', 31)
    """
    name = file.name
    half = _LONGEST // 2 - 1
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


def title_of(what: str, read: Table, file: Path) -> str:
    """The title of a picture: what it shows, of which file, and of how many.

    Example:
        >>> title_of("ROC", Table(np.eye(4), np.array([0, 0, 1, 1]), None), Path("x.npy"))
        'ROC of x.npy, N = 4 of 2 identities'
    """
    identities = len(np.unique(read.labels))
    of = f" of {identities:,} identities" if identities else ""
    return f"{what} of {short_name(file)}, N = {len(read.embeddings):,}{of}"


def print_report(report: dict[str, Any]) -> None:
    """A report as aligned lines."""
    say("\n".join(_lines(report)))


def _lines(report: dict[str, Any], indent: str = "") -> Iterator[str]:
    width = max(len(str(name)) for name in report)
    for name, value in report.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            shown = f"{value:.4f}" if isinstance(value, float) else str(value)
            yield f"{indent}{name!s:<{width}}  {shown}"
