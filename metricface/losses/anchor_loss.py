"""Losses with a term for each anchor, made of all its distances."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from metricface.losses.comparing import Compared, ComparingLoss, nowhere
from metricface.losses.reduction import Sum, summed


class AnchorLoss(ComparingLoss):
    """A loss with one term for each anchor; a member says it. A pair mined twice counts once."""

    once = True

    @abstractmethod
    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """The term of each anchor and whether it has one, both ``[b]``; finite in any case."""

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """The sum of the terms of the anchors that have one."""
        terms, present = self.anchor_terms(pairs)
        if self.reduction == "none":
            return [summed(terms[present], "none")]
        return [summed(terms * present, self.reduction, present.sum())]


def log_sum_exp(values: Tensor, anchors: Tensor, count: int) -> Tensor:
    """``log Σ exp(v)`` over the pairs of each anchor, ``[b]``; very low for one without pairs.

    Args:
        values: of pairs ``[T]`` or ``[b, R]``.
        anchors: whose they are ``[T]``, where they are listed.
        count: b.

    Example:
        >>> log_sum_exp(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0, 0, 1]), 2)
        tensor([0.6931, 3.0000])
    """
    if values.ndim == 2 and values.shape[1]:
        return torch.logsumexp(values, 1)
    values, anchors = values.flatten(), anchors.flatten()[: values.numel()]
    top = values.new_full((count,), -nowhere(values.dtype))
    top = top.scatter_reduce(0, anchors, values.detach(), "amax")
    total = torch.zeros_like(top).index_add(0, anchors, torch.exp(values - top[anchors]))
    return top + total.clamp_min(torch.finfo(values.dtype).tiny).log()


def pair_count(anchors: Tensor, count: int) -> Tensor:
    """How many of the listed pairs each anchor has, int64 ``[b]``.

    Example:
        >>> pair_count(torch.tensor([2, 0, 2]), 3)
        tensor([1, 0, 2])
    """
    # bincount would look for the largest first, and the host would wait for it.
    return anchors.new_zeros(count).index_add(0, anchors, torch.ones_like(anchors))


def has_both(pairs: Compared) -> Tensor:
    """Whether each anchor has a genuine and an impostor pair, boolean ``[b]``."""
    if pairs.impostor.ndim == 1:
        other = pair_count(pairs.far, pairs.anchors) > 0
    else:
        other = (pairs.impostor.detach() < nowhere(pairs.impostor.dtype) / 2).any(1)
    return (pair_count(pairs.near, pairs.anchors) > 0) & other
