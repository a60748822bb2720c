"""A table printed row by row as it is measured, and kept as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.files import write_table


@dataclass(frozen=True)
class Column:
    """Which field of a row to print, under which heading, and how.

    ``form`` is a format specification that begins with the alignment and the width.
    """

    field: str
    heading: str
    form: str

    def head(self) -> str:
        """The heading, as wide as what stands below it."""
        return format(self.heading, self._text_form())

    def cell(self, row: object) -> str:
        """What stands in a row; a dash where nothing was measured."""
        value = getattr(row, self.field)
        return format("-", self._text_form()) if value is None else format(value, self.form)

    def _text_form(self) -> str:
        return self.form[0] + "".join(c for c in self.form[1:].split(".")[0] if c.isdigit())


def show(rows: Iterable[Any], columns: Sequence[Column], out: Path | None) -> int:
    """Print rows as they come; write all their fields as CSV at the end. Returns exit code 0."""
    print("".join(column.head() for column in columns).rstrip())
    kept = []
    for row in rows:
        print("".join(column.cell(row) for column in columns).rstrip(), flush=True)
        kept.append(asdict(row))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_table(out, pd.DataFrame(kept))
    return 0
