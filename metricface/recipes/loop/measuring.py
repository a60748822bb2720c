"""One evaluation of a training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metricface.distributed.alike import on_rank_0
from metricface.recipes.batches import Labelled, identity_numbers
from metricface.recipes.embed import embed_together
from metricface.recipes.loop.history import Row
from metricface.recipes.loop.training import Training
from metricface.recipes.options import Options


def measured(
    training: Training, losses: list[Tensor], validation: Labelled | None, options: Options
) -> Row:
    """One evaluation: where the training stands, what it cost, what it can do.

    Rank 0 measures, on embeddings that all have made, so that all ranks decide alike.
    """
    loss = float(torch.stack(losses).mean()) if losses else math.nan
    if losses and not math.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} by step {training.step}; a lower learning rate, a gradient clip "
            "or an easier miner may help, and the last checkpoint is kept"
        )
    spent, model = training.stopwatch, training.evaluated_model
    row = {
        "step": float(training.step),
        "seconds": spent.total,
        **{f"{kind}_seconds": seconds for kind, seconds in spent.seconds.items()},
        "loss": loss,
    }
    if validation is None:
        return on_rank_0(lambda: row)
    embeddings = embed_together(
        model, validation, workers=options.workers, amp=options.amp, batch=options.batch
    )
    return on_rank_0(lambda: row | _found(set(row), embeddings, validation, options))


def _found(
    taken: set[str], embeddings: Tensor, validation: Labelled, options: Options
) -> dict[str, float]:
    """What is measured on the validation set."""
    found = options.evaluate(embeddings, torch.from_numpy(identity_numbers(validation)))
    twice = sorted(taken & set(found))
    if twice:
        raise ValueError(f"evaluate gave {', '.join(twice)}, which the history itself has")
    return {name: float(value) for name, value in found.items()}
