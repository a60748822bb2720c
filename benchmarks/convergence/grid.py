"""Run every cell of methods × seeds × folds, then write the tables and the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from benchmarks.convergence.cell import run_cell, run_raw_pixels
from benchmarks.convergence.folds import Fold, load, make_folds
from benchmarks.convergence.methods import Method
from benchmarks.convergence.pictures import draw_convergence, draw_histograms
from benchmarks.convergence.run_folder import RAW_PIXELS, Cell, RunFolder
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.summary import summarise
from benchmarks.files import write_table


@dataclass(frozen=True)
class Report:
    """What a run leaves behind.

    Attributes:
        summary: one row per method.
        files: the tables and pictures, in the order they were written.
    """

    summary: pd.DataFrame
    files: list[Path]


def run_grid(
    settings: Settings,
    methods: Sequence[Method],
    *,
    seeds: int,
    out: Path,
    headline: str,
    target: float,
) -> Report:
    """Train what is not finished yet and report all that is.

    Args:
        settings: shared by all cells.
        methods: the rows of the table.
        seeds: cells per method and fold, numbered from 0.
        out: the run folder.
        headline: the metric of the pictures and of the target.
        target: its value to reach.

    Raises:
        ValueError: the folder holds a run with other settings.
    """
    folder = RunFolder(out)
    folder.claim(settings, methods)
    folds = make_folds(load(settings.data), settings)
    train(settings, methods, folds, seeds=seeds, folder=folder)
    results = folder.results()
    summary = summarise(results, headline=headline, target=target)
    files = [out / name for name in ("results.csv", "summary.csv", "convergence.png")]
    write_table(files[0], results)
    write_table(files[1], summary)
    draw_convergence(results, metric=headline, target=target, file=files[2])
    files.append(out / "histograms.png")
    draw_histograms(methods, folds[0], settings, folder, files[-1])
    return Report(summary, files)


def train(
    settings: Settings,
    methods: Sequence[Method],
    folds: Sequence[Fold],
    *,
    seeds: int,
    folder: RunFolder,
) -> None:
    """Run the unfinished cells; finished ones are not touched.

    Args:
        settings: shared by all cells.
        methods: what to train with.
        folds: what to train on.
        seeds: cells per method and fold.
        folder: where the cells' files go.
    """
    for number, fold in enumerate(folds):
        cell = Cell(RAW_PIXELS, seed=0, fold=number)
        if not folder.finished(cell):
            run_raw_pixels(fold, folder, cell)
    todo = [
        (method, cell)
        for seed in range(seeds)
        for number in range(len(folds))
        for method in methods
        if not folder.finished(cell := Cell(method.name, seed, number))
    ]
    for method, cell in tqdm(todo, desc=f"{settings.data}: cells", unit="cell", disable=not todo):
        run_cell(method, folds[cell.fold], settings, folder, cell)
