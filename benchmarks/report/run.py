"""What a run folder holds, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.convergence.run_folder import RAW_PIXELS, Cell, File, Kind, RunFolder
from benchmarks.convergence.summary import at_one_pace


class Run:
    """A run folder's content; histograms and pairs are looked up when they are drawn.

    Args:
        path: the folder ``benchmarks.convergence`` wrote.

    Attributes:
        written: its ``settings.json``, of which settings, methods, headline (the metric methods
            are compared by, larger is better) and target (its value to reach) are taken out.
        results: a row per evaluation of every finished cell, their seconds at one pace.
        trained: the same without the raw pixels.
        tuning: a row per setting tried and fold, or nothing if none was saved.
        seeds_of: those each method was given.
        cells, expected, missing: the finished, every method with its seeds and every fold, the
            others.
        complete: methods none of whose cells is missing: only they are compared fairly.

    Raises:
        ValueError: it is not such a folder, or no cell has finished.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, RunFolder(path)
        written = self.folder.written()
        if written is None:
            raise ValueError(f"{path} is not a run folder: it has no settings.json")
        self.written, self.settings, self.methods = written, written["settings"], written["methods"]
        self.headline, self.target = str(written["headline"]), float(written["target"])
        self.folds = int(self.settings.get("folds", 1))
        files = self.folder.files("cells")
        self.cells = list(files)
        if not files:
            raise ValueError(f"{path} holds no finished cell yet: nothing is in its cells folder")
        unknown = sorted({cell.method for cell in files} - {RAW_PIXELS, *self.methods})
        if unknown:
            names = ", ".join(unknown)
            raise ValueError(f"{path} has cells of {names}, unknown to its settings.json")
        rows = [self._rows(*item) for item in files.items()]
        self.results = at_one_pace(pd.concat(rows, ignore_index=True))
        self.trained = self.results[self.results["method"] != RAW_PIXELS]
        self.seeds = sorted(set(self.trained["seed"]))
        given = written.get("seeds", {})
        self.seeds_of = {name: given.get(name, self.seeds) for name in self.methods}
        self.expected = [
            Cell(name, seed, fold)
            for name, seeds in self.seeds_of.items()
            for seed in seeds
            for fold in range(self.folds)
        ]
        self.missing = [cell for cell in self.expected if cell not in files]
        short = {cell.method for cell in self.missing}
        self.complete = [name for name in self.methods if self.seeds and name not in short]
        file, numbers = path / "tuning.csv", ("seed", "fold", "step", self.headline)
        texts = ("method", "setting", "chosen")
        self.tuning = read_table(file, numbers=numbers, texts=texts) if file.is_file() else None

    def _rows(self, cell: Cell, file: File) -> pd.DataFrame:
        """The rows of a cell; the file's name is what says whose they are."""
        times = () if cell.method == RAW_PIXELS else ("seconds", "mining_seconds")
        table = read_table(file, numbers=("step", self.headline, *times))
        rows: pd.DataFrame = table.assign(method=cell.method, seed=cell.seed, fold=cell.fold)
        return rows

    def files_of(self, kind: Kind, method: str) -> dict[Cell, File]:
        """A method's files of a kind, by cell; empty if none is there."""
        files = self.folder.files(kind)
        return {cell: file for cell, file in files.items() if cell.method == method}


def read_table(file: File, *, numbers: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame:
    """A CSV with a row and at least these columns.

    Args:
        file: what to read.
        numbers: columns that must hold numbers.
        texts: further columns that must be there.

    Raises:
        ValueError: it is another file.
    """
    try:
        with file.open(encoding="utf-8") as text:
            table: pd.DataFrame = pd.read_csv(text)
    except ValueError as error:  # pandas' own errors are such
        raise ValueError(f"{file} is not a table: {error}") from error
    lacks = [name for name in (*numbers, *texts) if name not in table]
    if lacks or table.empty:
        raise ValueError(f"{file} lacks {', '.join(lacks) if lacks else 'any row'}")
    wrong = [name for name in numbers if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        raise ValueError(f"{file} has text where numbers belong: {', '.join(wrong)}")
    return table
