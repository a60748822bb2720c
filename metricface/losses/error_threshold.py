"""Where to draw the line between genuine and impostor pairs."""

from __future__ import annotations

import torch
from torch import Tensor


def least_error_threshold(genuine: Tensor, impostor: Tensor) -> Tensor:
    """The threshold of least verification error, the mean of both error rates.

    Pairs below the threshold are accepted. The error is half the share of genuine pairs refused
    plus half the share of impostor pairs accepted: in a batch impostors are many times the
    genuine pairs, and an error that counted pairs would be least where all are refused.

    Args:
        genuine: distances of genuine pairs, ``[M]``, at least one.
        impostor: distances of impostor pairs, ``[T]``, at least one.

    Returns:
        A scalar, midway between the last distance accepted and the first refused; the least of
        several equally good ones.

    Raises:
        ValueError: one of them is empty.

    Example:
        >>> least_error_threshold(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([0.6, 1.0]))
        tensor(0.4000)
    """
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"a threshold needs pairs of both kinds, got {len(genuine)} genuine "
            f"and {len(impostor)} impostor pairs"
        )
    distance, order = torch.cat([genuine, impostor]).sort()
    is_genuine = order < len(genuine)
    # Both shares over their common denominator: whole numbers, so that ties are ties.
    gain = torch.where(is_genuine, len(impostor), -len(genuine)).cumsum(0)
    last = torch.ones_like(is_genuine)
    last[:-1] = distance[:-1] < distance[1:]  # equal distances are accepted together
    gain = gain.masked_fill(~last, torch.iinfo(torch.int64).min)
    best, place = gain.max(0)
    following = distance[(place + 1).clamp_max(len(distance) - 1)]
    midway = distance[place] / 2 + following / 2  # their sum may be beyond float32
    return torch.where(best > 0, midway, distance[0])  # better to accept none at all
