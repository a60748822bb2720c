"""The farthest or the nearest positive of each anchor."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.identities import MatchBlock


def extreme_positive(
    distances: Tensor, block: MatchBlock, which: Literal["farthest", "nearest"]
) -> tuple[Tensor, Tensor]:
    """The farthest or nearest positive of each anchor; of equal ones the first.

    Args:
        distances: ``[b, R]``.
        block: who matches whom.
        which: ``"farthest"`` or ``"nearest"``.

    Returns:
        Its place in ``block.positive`` (−1: the anchor has none), int64 ``[b]``, and its
        distance (−inf or inf) ``[b]``.

    Example:
        >>> from metricface.identities import Matches
        >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]])
        >>> place, distance = extreme_positive(distances, Matches([0, 0, 0]).block(), "farthest")
        >>> distance
        tensor([3., 2., 3.])
    """
    rows, pairs = block.shape[0], len(block.anchor)
    to_positive = distances[block.anchor, block.positive]
    worst, reduce = (-torch.inf, "amax") if which == "farthest" else (torch.inf, "amin")
    extreme = distances.new_full((rows,), worst)
    extreme.scatter_reduce_(0, block.anchor, to_positive, reduce)
    place = torch.arange(pairs, device=distances.device)
    place[to_positive != extreme[block.anchor]] = pairs
    first = torch.full((rows,), pairs, device=distances.device)
    first.scatter_reduce_(0, block.anchor, place, "amin")
    return torch.where(first < pairs, first, -1), extreme
