"""Tables that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from metricface.files import write_whole


def write_table(file: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    write_whole(file, lambda part: table.to_csv(part, index=False))
