"""The batch of all processes, and what is compared in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distributed import Gathered, rank
from metricface.memory import CrossBatchMemory
from metricface.miners import Miner
from metricface.recipes.objective import Against, Objective
from metricface.types import numbered


class GlobalBatch(NamedTuple):
    """The batch of all ranks, identities and samples in numbers."""

    embeddings: Tensor
    labels: Tensor
    ids: Tensor

    @classmethod
    def of(cls, batch: Gathered, memory: CrossBatchMemory | None) -> GlobalBatch:
        """Strings are numbered; samples without ids get some that no other sample has.

        Raises:
            TypeError: strings where there is a memory.
        """
        if memory is not None and not all(isinstance(k, Tensor | None) for k in batch[1:]):
            raise TypeError("a memory stores integer labels and ids, got strings")
        x, labels, ids = batch
        if ids is None:  # the same as a memory that has seen so many invents for them
            seen = 0 if memory is None else memory.pushed
            ids = -1 - torch.arange(seen, seen + len(x), device=x.device)
        return cls(x, *(_as_numbers(each).to(x.device) for each in (labels, ids)))


class Asked(NamedTuple):
    """The batch of all ranks, and which part of it is whose."""

    rows: GlobalBatch
    counts: Sequence[int]
    """Rows of each rank ``[W]``."""
    parameters: dict[str, Tensor]
    """Of the losses that are split by anchor, with a gradient that is the mean over the ranks."""
    known: bool = True
    """Whether the ids were given."""

    @property
    def own(self) -> slice:
        """This rank's rows."""
        first = sum(self.counts[: rank()])
        return slice(first, first + self.counts[rank()])


class ToCompare(NamedTuple):
    """What is compared: by the losses that are split, for own anchors, and by the others."""

    own: list[Against]
    whole: list[Against]
    error: Exception | None = None
    """Why nothing was mined; all ranks hear of it where they next meet."""


@contextmanager
def first_anchor(objective: Objective, number: int) -> Iterator[None]:
    """Miners draw for their anchors what one process would draw for the same rows."""
    miners = [part for part in objective.modules() if isinstance(part, Miner)]
    try:
        for miner in miners:
            miner.first_anchor = number
        yield
    finally:
        for miner in miners:
            miner.first_anchor = 0


def _as_numbers(keys: Tensor | npt.NDArray[Any]) -> Tensor:
    return keys if isinstance(keys, Tensor) else torch.from_numpy(numbered(keys).numbers)
