"""Which of its classes a process compares a batch with, where it is not all of them."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.samplers.keyed_random import mix


def sampled_classes(present: Tensor, own: range, count: int, seed: int, step: int) -> Tensor:
    """All classes of the batch, and random others until there are enough.

    A pure function: each class has a random number of its own in each step, and those with the
    smallest are taken.

    Args:
        present: int64, the classes of a batch, of which those in ``own`` are looked at.
        own: the classes to choose from.
        count: how many are wanted; if more are present, all of these.
        seed: of the random numbers.
        step: which of them.

    Returns:
        Rising places within ``own``, int64, on the device of ``present``.

    Example:
        >>> sampled_classes(torch.tensor([7, 3]), range(5, 10), 3, seed=0, step=1)
        tensor([0, 2, 3])
    """
    numbers = torch.arange(own.start, own.stop).numpy()
    keys = torch.from_numpy((mix(seed, step, numbers) >> 1).astype("int64")).to(present.device)
    here = present[(present >= own.start) & (present < own.stop)] - own.start
    keys[here] = -1
    wanted = max(count, int((keys < 0).sum()))
    return torch.topk(keys, wanted, largest=False).indices.sort().values
