"""What Accelerate does with a batch sampler, in a few lines, for tests without Accelerate.

Written from the published behaviour of accelerate 1.15: a prepared loader adds itself to the
``dataloader_references`` of ``GradientState`` before it begins, calls ``set_epoch`` with the number
of passes it has finished, and fetches one batch ahead of the loop; ``BatchSamplerShard`` hands each
process every ``num_processes``-th batch of the sampler.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from types import ModuleType
from typing import Any

import pytest


class BatchSamplerShard:
    """Every ``num_processes``-th batch of a sampler, from ``process_index`` on."""

    def __init__(self, batch_sampler: Any, num_processes: int, process_index: int) -> None:
        self.batch_sampler = batch_sampler
        self.num_processes, self.process_index = num_processes, process_index

    def __iter__(self) -> Iterator[list[int]]:
        return islice(iter(self.batch_sampler), self.process_index, None, self.num_processes)


class PreparedLoader:
    """Hands on the batches of a sampler, having asked for one more than the loop has had."""

    def __init__(self, state: Any, batch_sampler: Any, *, stateful: bool = False) -> None:
        self.state, self.batch_sampler, self.iteration = state, batch_sampler, 0
        self.end_of_dataloader, self.use_stateful_dataloader = False, stateful

    def set_epoch(self, epoch: int) -> None:
        self.iteration = epoch
        inner = getattr(self.batch_sampler, "batch_sampler", self.batch_sampler)
        inner.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        self.end_of_dataloader = False
        self.state.dataloader_references += [self]
        self.set_epoch(self.iteration)
        ahead = iter(self.batch_sampler)
        current = next(ahead)
        for following in ahead:
            yield current
            current = following
        self.end_of_dataloader = True
        yield current
        self.iteration += 1
        self.state.dataloader_references.remove(self)


class Accelerate:
    """A process of several, as far as ``accelerate.state`` tells of it."""

    def __init__(self, num_processes: int, process_index: int) -> None:
        self.num_processes, self.process_index = num_processes, process_index
        self.dataloader_references: list[Any] = [None]

    def prepare(self, sampler: Any, *, dispatch: bool = False, stateful: bool = False) -> Any:
        """The loader of this process: a share of the batches, or all for it to send on."""
        if self.num_processes > 1 and not dispatch:
            sampler = BatchSamplerShard(sampler, self.num_processes, self.process_index)
        return PreparedLoader(self, sampler, stateful=stateful)


def pretend(
    patch: pytest.MonkeyPatch, num_processes: int = 1, process_index: int = 0
) -> Accelerate:
    """Make it look as if the process had imported Accelerate and begun to use it."""
    state, module = Accelerate(num_processes, process_index), ModuleType("accelerate.state")
    vars(module).update(
        GradientState=lambda: state, PartialState=lambda: state, is_initialized=lambda: True
    )
    patch.setitem(sys.modules, "accelerate.state", module)
    return state
