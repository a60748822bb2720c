"""Steps with a memory, of which any number of processes takes its part."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from metricface.distributed import rank, world_size
from metricface.losses import ContrastiveLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import RandomMiner
from metricface.recipes import GlobalBatchLoss
from tests.layouts import draw_rows

DIM, SIZE = 4, 24
#: Rows of the whole batch in each step; the largest is more than is kept.
ROWS = [9, 13, 4, 0, 31, 7]
HALF = 3
MEMORIES = ("ids", "no ids")


class Seen(NamedTuple):
    """What there is after a step, in numbers that JSON keeps to the bit."""

    value: float
    embeddings: list[list[float]]
    labels: list[int]
    ids: list[int]
    pushed: int


def remembering() -> GlobalBatchLoss:
    memory = CrossBatchMemory(SIZE, DIM, warmup=5)
    return GlobalBatchLoss(ContrastiveLoss(), RandomMiner(2, seed=4), memory).double()


def own_rows(count: int) -> slice:
    """Of a batch of all: of two ranks the second has most of it, of three the second has none."""
    cuts = {1: [1.0], 2: [0.3, 1.0], 3: [0.4, 0.4, 1.0]}[world_size()]
    ends = [0, *(round(count * cut) for cut in cuts)]
    return slice(ends[rank()], ends[rank() + 1])


def taken(loss: GlobalBatchLoss, steps: range, *, ids: bool) -> list[Seen]:
    """Take some steps. Most images return in later ones, and seldom on the same rank."""
    seen = []
    for step in steps:
        count = ROWS[step]
        own = own_rows(count)
        images = (torch.arange(count) * 5 + step * 3) % 37
        x = draw_rows(count, DIM, 50 + step)
        value = loss(x[own], (images % 4)[own], images[own] if ids else None)
        seen.append(Seen(value.item(), *contents(loss)))
    return seen


def contents(loss: GlobalBatchLoss) -> Any:
    memory = loss.objective.memory
    assert memory is not None
    return (
        memory.embeddings.tolist(),
        memory.labels.tolist(),
        memory.ids.tolist(),
        memory.pushed,
    )
