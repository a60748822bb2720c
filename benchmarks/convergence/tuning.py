"""The same budget of settings for every method, judged on validation identities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.convergence.cell import Task
from benchmarks.convergence.folds import load, make_folds
from benchmarks.convergence.methods import Method
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Chosen, Settings
from benchmarks.convergence.workers import run_cells
from benchmarks.files import write_table


def tune(
    settings: Settings,
    methods: Sequence[Method],
    *,
    budget: int,
    steps: int | None,
    out: Path,
    goal: tuple[str, float],
    command: str,
    jobs: int,
) -> Chosen:
    """Try so many settings of every method and choose each fold's best on its validation side.

    Every setting is trained once per fold, with seed 0, in ``out/tuning``, a run folder of its
    own; trials that are finished are not run again. All go into ``out/tuning.csv``. A fold's
    choice hears nothing of the identities of its test: they are neither trained on in its trials
    nor evaluated.

    Args:
        settings: of the run; the identities of its test are not looked at.
        methods: to tune.
        budget: settings for each, its default among them; those that have fewer try all.
        steps: of each trial; None is as many as the run's.
        out: the run folder.
        goal: the metric that decides, and its target.
        command: as it was typed.
        jobs: processes.

    Returns:
        The chosen values, by the method's name and fold.

    Raises:
        ValueError: the folder holds trials of another run.
        BlockingIOError: another run uses the folder.
    """
    settings = replace(settings, held="validation", steps=steps or settings.steps)
    settings = replace(settings, eval_every=settings.steps)
    folds = make_folds(load(settings.data, broken=settings.broken), settings)
    folder = RunFolder(out / "tuning")
    trials = [
        Task(method, values, Cell(f"{method.name}@{number}", seed=0, fold=fold))
        for method in methods
        for number, values in enumerate(method.candidates(budget))
        for fold in range(len(folds))
    ]
    named = [replace(trial.method, name=trial.cell.method) for trial in trials]
    values = {trial.cell.method: [dict(trial.values)] * len(folds) for trial in trials}
    with folder.alone():
        folder.claim(settings, named, chosen=values, seeds=[0], goal=goal, command=command)
        todo = [trial for trial in trials if not folder.finished(trial.cell)]
        run_cells(todo, folds, settings, folder, jobs=jobs, description=f"{settings.data}: tuning")
        table = _table(folder, trials, goal[0])
        others = out / "tuning.csv"
        if others.exists():  # methods that were tuned earlier
            old = pd.read_csv(others)
            table = pd.concat([old[~old["method"].isin(table["method"])], table], ignore_index=True)
        write_table(others, table)
    best = table[table["chosen"]].sort_values("fold", kind="stable")
    return {
        str(method): [json.loads(setting) for setting in rows["setting"]]
        for method, rows in best.groupby("method", sort=False)
    }


def _table(folder: RunFolder, trials: Sequence[Task], metric: str) -> pd.DataFrame:
    """One row per setting and fold: its last evaluation's metric, and whether it is the choice."""
    results = folder.results().sort_values("step", kind="stable")
    last = results.groupby(["method", "fold"])[["step", metric]].last()
    table = pd.DataFrame(
        {
            "method": trial.method.name,
            "setting": json.dumps(dict(trial.values)),
            "seed": trial.cell.seed,
            "fold": trial.cell.fold,
            "step": int(last.loc[(trial.cell.method, trial.cell.fold), "step"]),
            metric: float(last.loc[(trial.cell.method, trial.cell.fold), metric]),
        }
        for trial in trials
    )
    best = table.groupby(["method", "fold"])[metric].idxmax()
    judged: pd.DataFrame = table.assign(chosen=table.index.isin(best))
    return judged
