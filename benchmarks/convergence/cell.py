"""Run one cell to its end, from its checkpoint if it has one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.convergence.folds import Fold
from benchmarks.convergence.methods import Method, Setup, Values
from benchmarks.convergence.raw_pixels import raw_pixels
from benchmarks.convergence.run_folder import RAW_PIXELS, UNTRAINED, Cell, RunFolder
from benchmarks.convergence.settings import Settings
from metricface.evaluation import class_distances, hardest_pairs
from metricface.recipes import embed

PAIRS = 8


@dataclass(frozen=True)
class Task:
    """A cell to run: its method with the values of its parameters."""

    method: Method
    values: Values
    cell: Cell


def run_cell(
    task: Task, fold: Fold, settings: Settings, folder: RunFolder, *, progress: bool = True
) -> None:
    """Train, evaluate every ``settings.eval_every`` steps, then write what it came to.

    A cell that was interrupted goes on from its last evaluation and ends with the same weights
    and the same numbers (seconds apart) as if it had not been.

    Args:
        task: what to train with, and which cell it is.
        fold: what to train on and what is held out.
        settings: shared by all cells of the run.
        folder: where it all goes.
        progress: show a bar.
    """
    cell = task.cell
    place = folder.checkpoints / cell.name
    setup = Setup(settings, fold, cell.seed, place, progress)
    trained = task.method.train(setup, task.values)
    if _is_first(cell):
        describe(folder, cell, embed(trained.model, fold.held), fold)
    folder.finish(cell, trained.rows)


def run_baselines(fold: Fold, settings: Settings, folder: RunFolder, number: int) -> None:
    """Measure the held-out images without any training, and an untrained network's histogram.

    Args:
        fold: what is held out.
        settings: of the run.
        folder: where it goes.
        number: of the fold.
    """
    cell = Cell(RAW_PIXELS, seed=0, fold=number)
    if folder.finished(cell):
        return
    pixels, labels = raw_pixels(fold.held.images), torch.from_numpy(fold.held.labels)
    if _is_first(cell):
        describe(folder, cell, pixels, fold)
        model = Setup(settings, fold, cell.seed, folder.path).model()
        describe(folder, cell._replace(method=UNTRAINED), embed(model, fold.held), fold)
    folder.finish(cell, [{"step": 0, "seconds": 0.0, **fold.evaluate(pixels, labels)}])


def describe(folder: RunFolder, cell: Cell, embeddings: Tensor, fold: Fold) -> None:
    """Keep histogram and hardest pairs of some embeddings of the held-out images."""
    labels = fold.held.labels
    distances = class_distances(embeddings, labels)
    folder.describe(cell, distances, hardest_pairs(embeddings, labels, count=PAIRS))


def _is_first(cell: Cell) -> bool:
    """One seed and one fold are enough to look at."""
    return cell.seed == 0 and cell.fold == 0
