"""Run every cell of methods × seeds × folds, then write the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.convergence.cell import Task, run_baselines
from benchmarks.convergence.folds import load, make_folds
from benchmarks.convergence.methods import Method
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Chosen, Settings
from benchmarks.convergence.summary import summarise
from benchmarks.convergence.workers import run_cells
from benchmarks.files import write_table


@dataclass(frozen=True)
class Grid:
    """What a run leaves behind.

    Attributes:
        summary: one row per method.
        files: the tables, in the order they were written.
    """

    summary: pd.DataFrame
    files: list[Path]


def run_grid(
    settings: Settings,
    methods: Sequence[Method],
    *,
    chosen: Chosen,
    seeds: Sequence[int],
    out: Path,
    goal: tuple[str, float],
    command: str,
    jobs: int = 1,
) -> Grid:
    """Train what is not finished yet and summarise all that is.

    Args:
        settings: shared by all cells.
        methods: the rows of the table.
        chosen: the values of each method's parameters, by its name and fold.
        seeds: one cell for each, per method and fold.
        out: the run folder.
        goal: the metric of the table, and its value to reach.
        command: as it was typed.
        jobs: processes.

    Raises:
        ValueError: the folder holds a run with other settings.
        BlockingIOError: another run uses the folder.
    """
    folds = make_folds(load(settings.data, broken=settings.broken), settings)
    folder = RunFolder(out)
    with folder.alone():
        folder.claim(settings, methods, chosen=chosen, seeds=seeds, goal=goal, command=command)
        for number, fold in enumerate(folds):
            run_baselines(fold, settings, folder, number)
        todo = [
            Task(method, chosen[method.name][number], cell)
            for seed in seeds
            for number in range(len(folds))
            for method in methods
            if not folder.finished(cell := Cell(method.name, seed, number))
        ]
        run_cells(todo, folds, settings, folder, jobs=jobs, description=f"{settings.data}: cells")
        results = folder.results()
        summary = summarise(results, headline=goal[0], target=goal[1])
        files = [out / "results.csv", out / "summary.csv"]
        write_table(files[0], results)
        write_table(files[1], summary)
    return Grid(summary, files)
