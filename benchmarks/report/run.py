"""What a run folder holds, read and checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.convergence.run_folder import RAW_PIXELS, Cell


class Method(NamedTuple):
    """What the run says of a method: its rule in a line, its family, each fold's parameters."""

    rule: str
    family: str
    chosen: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder's content; optional files are looked up when they are drawn.

    Attributes:
        path: the folder.
        settings: what all cells share, by name.
        headline: the metric methods are compared by, larger is better.
        target: its value to reach.
        methods: by name, in the run's order.
        machine: what the run was timed on.
        commands: what was typed.
        cells: the finished ones, sorted.
        results: a row per evaluation of every finished cell.
        tuning: a row per setting tried and fold, or nothing if none was saved.
    """

    path: Path
    settings: dict[str, Any]
    headline: str
    target: float
    methods: dict[str, Method]
    machine: dict[str, Any]
    commands: list[str]
    cells: list[Cell]
    results: pd.DataFrame
    tuning: pd.DataFrame | None

    @property
    def trained(self) -> pd.DataFrame:
        """The results without the raw pixels."""
        rows: pd.DataFrame = self.results[self.results["method"] != RAW_PIXELS]
        return rows

    @property
    def seeds(self) -> list[int]:
        """Every seed that any method was trained with."""
        return sorted({cell.seed for cell in self.cells if cell.method != RAW_PIXELS})

    @property
    def expected(self) -> list[Cell]:
        """Every method with every seed and fold."""
        folds = range(int(self.settings.get("folds", 1)))
        return [Cell(m, seed, fold) for m in self.methods for seed in self.seeds for fold in folds]

    @property
    def missing(self) -> list[Cell]:
        """The cells that have not finished."""
        finished = set(self.cells)
        return [cell for cell in self.expected if cell not in finished]

    @property
    def complete(self) -> list[str]:
        """Methods none of whose cells is missing: only they are compared fairly."""
        short = {cell.method for cell in self.missing}
        return [name for name in self.methods if name not in short] if self.seeds else []

    def files_of(self, folder: str, method: str) -> dict[Cell, Path]:
        """The files of a method in ``histograms`` or ``hardest``, by cell; empty if none is there.

        Args:
            folder: which of them.
            method: a method, or what stands in its place.
        """
        return {
            cell: file
            for cell, file in _cell_files(self.path / folder).items()
            if cell.method == method
        }


def read_run(path: Path) -> Run:
    """Read a run folder.

    Args:
        path: the folder ``benchmarks.convergence`` wrote.

    Raises:
        ValueError: it is not such a folder, or no cell has finished.
    """
    file = path / "settings.json"
    if not file.is_file():
        raise ValueError(f"{path} is not a run folder: it has no settings.json")
    written = _settings(file)
    cells = _cell_files(path / "cells")
    if not cells:
        raise ValueError(f"{path} holds no finished cell yet: nothing is in its cells folder")
    methods = {name: _method(name, said, file) for name, said in written["methods"].items()}
    unknown = sorted({cell.method for cell in cells} - {RAW_PIXELS} - set(methods))
    if unknown:
        raise ValueError(f"{path} has cells of {', '.join(unknown)}, unknown to its settings.json")
    return Run(
        path=path,
        settings=written["settings"],
        headline=written["headline"],
        target=float(written["target"]),
        methods=methods,
        machine=written.get("machine", {}),
        commands=written.get("commands", []),
        cells=list(cells),
        results=_results(cells, written["headline"]),
        tuning=_tuning(path / "tuning.csv", written["headline"]),
    )


def _settings(file: Path) -> dict[str, Any]:
    try:
        written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    needed = ("settings", "headline", "target", "methods")
    lacks = [name for name in needed if not isinstance(written, dict) or name not in written]
    if lacks:
        raise ValueError(f"{file} is not the settings of a run: it lacks {', '.join(lacks)}")
    return written


def _method(name: str, said: object, file: Path) -> Method:
    if not isinstance(said, dict) or not {"rule", "family"} <= set(said):
        raise ValueError(f"{file} says no rule and family of the method {name!r}")
    chosen = said.get("chosen") or []
    if not isinstance(chosen, list) or not all(isinstance(values, dict) for values in chosen):
        raise ValueError(f"{file} does not say the parameters of {name!r} as a list, one per fold")
    return Method(str(said["rule"]), str(said["family"]), chosen)


def _cell_files(folder: Path) -> dict[Cell, Path]:
    """The CSV files of a folder that are named after a cell, sorted."""
    files = [file for file in folder.glob("*.seed*.fold*.csv") if not file.name.startswith(".")]
    return dict(sorted((Cell.named(file.stem), file) for file in files))


def _results(cells: dict[Cell, Path], headline: str) -> pd.DataFrame:
    """The rows of all cells; the file's name is what says whose they are."""
    tables = []
    for cell, file in cells.items():
        times = () if cell.method == RAW_PIXELS else ("seconds", "mining_seconds")
        table = read_table(file, numbers=("step", headline, *times))
        tables.append(table.assign(method=cell.method, seed=cell.seed, fold=cell.fold))
    joined: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return joined


def _tuning(file: Path, headline: str) -> pd.DataFrame | None:
    if not file.is_file():
        return None
    numbers, texts = ("seed", "fold", "step", headline), ("method", "setting", "chosen")
    return read_table(file, numbers=numbers, texts=texts)


def read_table(file: Path, *, numbers: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame:
    """A CSV with a row and at least these columns.

    Args:
        file: what to read.
        numbers: columns that must hold numbers.
        texts: further columns that must be there.

    Raises:
        ValueError: it is another file.
    """
    try:
        table: pd.DataFrame = pd.read_csv(file)
    except ValueError as error:  # pandas' own errors are such
        raise ValueError(f"{file} is not a table: {error}") from error
    lacks = [name for name in (*numbers, *texts) if name not in table]
    if lacks or table.empty:
        raise ValueError(f"{file} lacks {', '.join(lacks) if lacks else 'any row'}")
    wrong = [name for name in numbers if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        raise ValueError(f"{file} has text where numbers belong: {', '.join(wrong)}")
    return table
