"""Learning-rate schedules that torch lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

Schedule: TypeAlias = Callable[[Optimizer], LRScheduler]
"""Makes any of torch's schedulers for an optimizer; it is stepped once per optimizer step."""


def in_defense_schedule(steps: int, start: float = 0.6, factor: float = 1e-3) -> Schedule:
    """Constant, then exponentially down: what "In Defense of the Triplet Loss" trains with.

    ``lr(t) = lr_0 · factor ** max(0, (t − t_0) / (t_1 − t_0))`` with ``t_1 = steps`` and
    ``t_0 = start · steps``; the paper: constant for 15,000 steps, × 0.001 at 25,000.

    Args:
        steps: of the whole training, at least 1.
        start: share of the steps with a constant rate, in [0, 1).
        factor: of the rate at the end, in (0, 1].

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = in_defense_schedule(10, start=0.8)(optimizer)
        >>> rates = []
        >>> for _ in range(10):
        ...     optimizer.step()
        ...     scheduler.step()
        ...     rates.append(round(scheduler.get_last_lr()[0], 4))
        >>> rates[6:]
        [1.0, 1.0, 0.0316, 0.001]

    Reference: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification"
    (2017), eq. 9.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not 0 <= start < 1:
        raise ValueError(f"start must be from 0 to below 1, got {start}")
    if not 0 < factor <= 1:
        raise ValueError(f"factor must be above 0 and at most 1, got {factor}")
    return partial(LambdaLR, lr_lambda=_ConstantThenDown(steps, start, factor))


@dataclass
class _ConstantThenDown:
    """The rate at a step, as a share of the first; a class, so that its settings can be read."""

    steps: int
    start: float
    factor: float

    def __call__(self, step: int) -> float:
        first = self.start * self.steps
        return float(self.factor ** (max(0.0, step - first) / (self.steps - first)))
