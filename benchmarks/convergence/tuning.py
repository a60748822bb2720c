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
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.workers import run_cells
from benchmarks.files import write_table

Chosen = dict[str, dict[str, float]]


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
    """Try so many settings of every method and choose the best on validation identities.

    Every setting is trained once per fold, with seed 0, in ``out/tuning``, a run folder of its
    own; trials that are finished are not run again. All go into ``out/tuning.csv``.

    Args:
        settings: of the run; the identities of its test are not looked at.
        methods: to tune.
        budget: settings for each, its default among them.
        steps: of each trial; None is as many as the run's.
        out: the run folder.
        goal: the metric that decides, and its target.
        command: as it was typed.
        jobs: processes.

    Returns:
        The chosen values, by the method's name.

    Raises:
        ValueError: a method has not so many settings.
    """
    settings = replace(settings, held="validation", steps=steps or settings.steps)
    settings = replace(settings, eval_every=settings.steps)
    folds = make_folds(load(settings.data), settings)
    folder = RunFolder(out / "tuning")
    trials = [
        Task(method, values, Cell(f"{method.name}@{number}", seed=0, fold=fold))
        for method in methods
        for number, values in enumerate(method.candidates(budget))
        for fold in range(len(folds))
    ]
    named = [replace(trial.method, name=trial.cell.method) for trial in trials]
    values = {trial.cell.method: trial.values for trial in trials}
    folder.claim(settings, named, chosen=values, goal=goal, command=command)
    todo = [trial for trial in trials if not folder.finished(trial.cell)]
    run_cells(todo, folds, settings, folder, jobs=jobs, description=f"{settings.data}: tuning")
    table = _table(folder, trials, goal[0])
    others = out / "tuning.csv"
    if others.exists():  # methods that were tuned earlier
        old = pd.read_csv(others)
        table = pd.concat([old[~old["method"].isin(table["method"])], table], ignore_index=True)
    write_table(others, table)
    best = table[table["chosen"]]
    return {row.method: json.loads(row.setting) for row in best.itertuples()}


def _table(folder: RunFolder, trials: Sequence[Task], metric: str) -> pd.DataFrame:
    """One row per setting: its last evaluation's metric, averaged over folds, and the choice."""
    results = folder.results()
    last = results[results["step"] == results.groupby("method")["step"].transform("max")]
    value = last.groupby("method")[metric].mean()
    step = last.groupby("method")["step"].first()
    rows = {
        trial.cell.method: {
            "method": trial.method.name,
            "setting": json.dumps(dict(trial.values)),
            "seed": trial.cell.seed,
            "step": int(step[trial.cell.method]),
            metric: float(value[trial.cell.method]),
        }
        for trial in trials
    }
    table = pd.DataFrame(rows.values())
    best = table.groupby("method")[metric].idxmax()
    judged: pd.DataFrame = table.assign(chosen=table.index.isin(best))
    return judged
