"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def write(file: Path, fill: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: under a temporary name first, then renamed.

    Args:
        file: what to write.
        fill: writes the content to the path it is given.
    """
    temporary = file.with_name(f".{file.name}.partial")
    fill(temporary)
    os.replace(temporary, file)


def write_table(file: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    write(file, lambda temporary: table.to_csv(temporary, index=False))
