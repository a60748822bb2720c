"""The files of a run: its settings, one file per finished cell, and checkpoints of the rest."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from benchmarks.convergence.methods import Method
from benchmarks.convergence.settings import Settings, changes
from benchmarks.files import write, write_table

RAW_PIXELS = "raw-pixels"
"""The baseline's name in the tables; it is a cell of one row."""


class Cell(NamedTuple):
    """One training: a method, a seed, a fold of the identities."""

    method: str
    seed: int
    fold: int

    @property
    def name(self) -> str:
        """The stem of the cell's files."""
        return f"{self.method}.seed{self.seed}.fold{self.fold}"


class RunFolder:
    """A folder that belongs to one :class:`Settings` and fills up with finished cells.

    ``settings.json`` says what the cells share; ``cells/NAME.csv`` exists once the cell is
    finished, ``checkpoints/NAME.pt`` from its first evaluation on. Methods and seeds may be
    added in a later run; settings may not change.

    Args:
        path: the folder; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = path / "cells"
        self.checkpoints = path / "checkpoints"
        for folder in (self.cells, self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)

    def claim(self, settings: Settings, methods: Sequence[Method]) -> None:
        """Write the settings, or check them against those the folder was begun with.

        Raises:
            ValueError: a setting, or the rule of a method that has run here, has changed.
        """
        file = self.path / "settings.json"
        rules = {method.name: method.rule for method in methods}
        known: dict[str, str] = {}
        if file.exists():
            written = json.loads(file.read_text(encoding="utf-8"))
            known = written["methods"]
            changed = changes(written["settings"], settings) + [
                f"method {name} was {known[name]!r}, is {rule!r}"
                for name, rule in rules.items()
                if known.get(name, rule) != rule
            ]
            if changed:
                raise ValueError(
                    f"{self.path} holds a run with other settings: {'; '.join(changed)}. "
                    "Give the old settings or another --out."
                )
        content = {
            "settings": asdict(settings),
            "methods": known | rules,
            "machine": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "processor": platform.processor() or platform.machine(),
            },
        }
        text = json.dumps(content, indent=2) + "\n"
        write(file, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def finished(self, cell: Cell) -> bool:
        """Whether the cell has run to its end."""
        return (self.cells / f"{cell.name}.csv").exists()

    def finish(self, cell: Cell, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the cell's rows: from here on it is finished."""
        table = pd.DataFrame([{**cell._asdict(), **row} for row in rows])
        write_table(self.cells / f"{cell.name}.csv", table)

    def save(self, cell: Cell, state: Mapping[str, Any]) -> None:
        """Replace the cell's checkpoint."""
        file = self.checkpoints / f"{cell.name}.pt"
        write(file, lambda temporary: torch.save(dict(state), temporary))

    def checkpoint(self, cell: Cell) -> dict[str, Any] | None:
        """The cell's last checkpoint on the CPU, or nothing if it has none."""
        file = self.checkpoints / f"{cell.name}.pt"
        if not file.exists():
            return None
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state

    def results(self) -> pd.DataFrame:
        """The rows of all finished cells."""
        files = sorted(self.cells.glob("*.csv"))
        return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
