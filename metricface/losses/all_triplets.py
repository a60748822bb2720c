"""The loss over all triplets of a batch, exactly, without listing them.

For an anchor with positive distances ``d_p`` and negative distances ``d_n`` the hinge sum is

    Σ_p Σ_n [d_p + m − d_n]₊ = Σ_p c_p (d_p + m) − Σ_n w_n d_n

where ``c_p`` counts the negatives nearer than ``d_p + m``, and ``w_n`` the positives for which
``d_n`` is one of them. The counts are the gradient as well, so one B×R matrix is all that is
ever kept.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.identities import MatchBlock
from metricface.losses.reduction import Sum
from metricface.torch_func import differentiated_once
from metricface.types import Reduction, ragged

# Up to so many positives, comparing each with all negatives beats bisecting for each negative.
_DENSE_POSITIVES = 64
_CHUNK_ENTRIES = 2**18


def all_triplets_sum(
    to_positive: Tensor,
    distances: Tensor,
    block: MatchBlock,
    margin: float | None,
    reduction: Reduction,
) -> Sum:
    """``Σ [d_ap − d_an + margin]₊`` or ``Σ log(1 + exp(d_ap − d_an))`` over all triplets.

    Time O(B·R·log K) for the hinge and O(B·K·R) for the soft margin, with K positives of each
    anchor; memory O(B·R).

    Args:
        to_positive: distances of the block's positive pairs ``[M]``, with their gradient. They are
            few, so they are taken row by row: from a product, the gradient of a pair of near
            duplicates would be mostly rounding.
        distances: of all anchors to all references, ``[B, R]``, with their gradient.
        block: who matches whom, for all anchors.
        margin: of the hinge, in the distance's unit; None for the soft margin.
        reduction: ``"mean"`` over all triplets, ``"nonzero"`` over the active ones (all of them
            for the soft margin), or ``"sum"``.

    Returns:
        The total, and how many triplets the reduction divides it by.

    Example:
        >>> from metricface.identities import Matches
        >>> d = torch.tensor([[0.0, 1.0, 1.1], [1.0, 0.0, 3.0], [1.1, 3.0, 0.0]])
        >>> block = Matches([0, 0, 1]).block()
        >>> near = d[block.anchor, block.positive]
        >>> all_triplets_sum(near, d, block, 0.5, "sum").total  # 1 + 0.5 − 1.1
        tensor(0.4000)

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, eq. 6 (batch all).
    """
    total, active, *_ = _AllTriplets.apply(  # type: ignore[no-untyped-call]
        to_positive, distances, block, margin
    )
    if reduction == "sum":
        count = active.new_zeros(())
    elif reduction == "nonzero" and margin is not None:
        count = active
    else:
        count = (block.positive_count() * block.negative_count()).sum()
    return Sum(total, count)


class _AllTriplets(torch.autograd.Function):
    @staticmethod
    def forward(
        to_positive: Tensor, distances: Tensor, block: MatchBlock, margin: float | None
    ) -> tuple[Tensor, ...]:
        """The sum, the active triplets, and the slopes in positives and in all distances."""
        # What is no negative is put beyond every threshold, so that it counts 0 times; it has to
        # be finite, because 0 times infinity is NaN.
        to_negative = block.hide_(distances.clone(), torch.finfo(distances.dtype).max)
        if margin is None:
            total, pull, push = _soft(to_positive, to_negative, block)
        else:
            total, pull, push = _hinge(to_positive + margin, to_negative, block)
        return total, pull.sum(), pull, push.neg_()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*output[2:])
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # of the slopes they would be tables of zeros

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, grad_total: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if grad_total is None:
            return None, None, None, None
        pull, push = ctx.saved_tensors
        return pull * grad_total, push * grad_total, None, None


def _hinge(
    threshold: Tensor, to_negative: Tensor, block: MatchBlock
) -> tuple[Tensor, Tensor, Tensor]:
    """The sum, negatives within each threshold ``[M]``, thresholds beyond each negative."""
    _, within = ragged(block.positive_count(), len(block.anchor))
    width = int(block.counts[0].max()) if block.shape[0] else 0
    padded = to_negative.new_full((block.shape[0], width), -torch.inf)
    padded[block.anchor, within] = threshold
    nearer = torch.zeros_like(padded)
    beyond = torch.empty_like(to_negative)
    total = to_negative.new_empty(block.shape[0])
    step = max(1, _CHUNK_ENTRIES // max(1, block.shape[1]))
    for start in range(0, block.shape[0], step):
        part = slice(start, start + step)
        _count_within(padded[part], to_negative[part], nearer[part], beyond[part])
        gained = (nearer[part] * padded[part].clamp_min(0)).sum(1)
        total[part] = gained - (beyond[part] * to_negative[part]).sum(1)
    return total.sum(), nearer[block.anchor, within], beyond


def _count_within(threshold: Tensor, distance: Tensor, nearer: Tensor, beyond: Tensor) -> None:
    """Count distances within each threshold and thresholds beyond each distance, row by row."""
    width = threshold.shape[1]
    if width > _DENSE_POSITIVES:
        ordered, order = threshold.sort(1)
        place = torch.searchsorted(ordered, distance, right=True)
        beyond.copy_(width - place)
        ending = torch.zeros_like(threshold, dtype=torch.int64)
        ending = F.pad(ending, (0, 1)).scatter_add_(1, place, torch.ones_like(place))
        nearer.scatter_(1, order, ending[:, :width].cumsum(1).to(nearer.dtype))
        return
    beyond.zero_()
    inside = torch.empty_like(distance)  # 0 or 1 as floats: faster to add than booleans
    for positive in range(width):
        torch.gt(threshold[:, positive, None], distance, out=inside)
        beyond += inside
        nearer[:, positive] = inside.sum(1)


def _soft(
    to_positive: Tensor, to_negative: Tensor, block: MatchBlock
) -> tuple[Tensor, Tensor, Tensor]:
    """The sum, its slope in each positive ``[M]``, and against each negative ``[B, R]``."""
    total = to_positive.new_zeros(())
    pull = torch.empty_like(to_positive)
    push = torch.zeros_like(to_negative)
    step = max(1, _CHUNK_ENTRIES // max(1, block.shape[1]))
    for start in range(0, len(to_positive), step):
        part = slice(start, start + step)
        row = block.anchor[part]
        gap = to_positive[part, None] - to_negative.index_select(0, row)
        total += F.softplus(gap).sum()
        slope = torch.sigmoid(gap)
        pull[part] = slope.sum(1)
        push.index_add_(0, row, slope)
    return total, pull, push
