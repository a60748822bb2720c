"""Run one cell to its end, from its checkpoint if it has one."""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.convergence.folds import Fold
from benchmarks.convergence.measures import measures, raw_pixels
from benchmarks.convergence.methods import Method
from benchmarks.convergence.run_folder import RAW_PIXELS, Cell, RunFolder
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.training import Training

Row = dict[str, float]


def run_cell(
    method: Method, fold: Fold, settings: Settings, folder: RunFolder, cell: Cell
) -> Training:
    """Train, evaluate and save every ``settings.eval_every`` steps, then write the cell's rows.

    A cell that was interrupted goes on from its last evaluation and ends with the same weights
    and the same numbers (seconds apart) as if it had not been.

    Args:
        method: what to train with; its name is the cell's.
        fold: the images to train on and those held out.
        settings: shared by all cells of the run.
        folder: where checkpoints and rows go.
        cell: which one this is.

    Returns:
        The training at its end.
    """
    training = Training(method, fold, settings, seed=cell.seed)
    checkpoint = folder.checkpoint(cell)
    if checkpoint is None:
        rows = [_row(training, fold, [])]
    else:
        training.load_state_dict(checkpoint["training"])
        rows = checkpoint["rows"]
    losses: list[Tensor] = []
    with tqdm(
        total=settings.steps, initial=training.step, desc=cell.name, unit="step", leave=False
    ) as bar:
        while training.step < settings.steps:
            losses.append(training.advance())
            bar.update()
            if settings.evaluated(training.step):
                rows.append(_row(training, fold, losses))
                losses = []
                folder.save(cell, {"training": training.state_dict(), "rows": rows})
                bar.set_postfix(recall_at_1=f"{rows[-1]['recall_at_1']:.3f}")
    folder.finish(cell, rows)
    return training


def run_raw_pixels(fold: Fold, folder: RunFolder, cell: Cell) -> None:
    """Measure the held-out images without any training: the baseline's one row."""
    found = measures(raw_pixels(fold.held_images), fold.held_labels)
    folder.finish(cell._replace(method=RAW_PIXELS), [{"step": 0, "seconds": 0.0, **found}])


def _row(training: Training, fold: Fold, losses: list[Tensor]) -> Row:
    """One evaluation: where the training stands, what it cost, what it can do.

    ``loss`` is the mean since the evaluation before.
    """
    spent = training.stopwatch
    return {
        "step": training.step,
        "seconds": spent.total,
        **{f"{kind}_seconds": seconds for kind, seconds in spent.seconds.items()},
        "loss": float(torch.stack(losses).mean()) if losses else float("nan"),
        **measures(training.embed(fold.held_images), fold.held_labels),
    }
