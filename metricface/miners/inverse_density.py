"""Drawing negatives by the inverse of the density that distances have on the sphere."""

from __future__ import annotations

import torch
from torch import Tensor

_MASKED = 1e30  # log weights stay within some tens of thousands in any dimension in use


def cumulative_weights(
    distances: Tensor, dim: int, cutoff: float, nonzero_loss_cutoff: float
) -> Tensor:
    """Running sums of the weights along each row, each row scaled by its largest weight.

    Drawing a negative is then a bisection. Without the scale the weights, which run over
    hundreds of orders of magnitude, would overflow in some rows and vanish in others.

    Args:
        distances: Euclidean between unit vectors, ``[b, R]``; inf where nothing is to be drawn.
        dim: dimension of the embeddings.
        cutoff: distances below count as this one.
        nonzero_loss_cutoff: from here on the weight is zero.

    Returns:
        ``[b, R]``, rising along each row; a row without eligible entries is 0.

    Example:
        >>> d = torch.tensor([[0.4, 0.5, 1.5]])
        >>> cumulative_weights(d, 64, 0.5, 1.4)
        tensor([[1., 2., 2.]])
    """
    farthest = min(nonzero_loss_cutoff, 2 - 2 * torch.finfo(distances.dtype).eps)  # finite at 2
    weight = log_inverse_density(distances.clamp(cutoff, farthest), dim)
    # Far below any weight, in place of a mask: selecting costs many times an addition.
    weight.sub_((distances >= nonzero_loss_cutoff).to(weight.dtype), alpha=_MASKED)
    largest = weight.amax(1, keepdim=True).clamp_min_(-_MASKED / 2)
    return weight.sub_(largest).exp_().cumsum_(1)


def log_inverse_density(distances: Tensor, dim: int) -> Tensor:
    """``log 1/q(d)`` up to a constant: ``(2 − n) log d − (n − 3)/2 · log(1 − d²/4)``.

    q is the density of the distance between two random points of the unit sphere. Its logarithm
    stays finite where the density itself is beyond float32.

    Args:
        distances: Euclidean, between 0 and 2, any shape.
        dim: n, the dimension of the embeddings.

    Returns:
        The same shape; infinite at 0 and 2.

    Example:
        >>> round(float(log_inverse_density(torch.tensor(0.5), 128)), 1)
        91.4

    Reference: Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, eq. 4.
    """
    squared = distances * distances
    weight = torch.log(squared).mul_((2 - dim) / 2)
    return weight.sub_(squared.mul_(-0.25).log1p_(), alpha=(dim - 3) / 2)


def draw_columns(cumulative: Tensor, row: Tensor, unit: Tensor) -> Tensor:
    """Columns drawn by weight: the first whose running sum exceeds ``unit`` of the row's total.

    Found by bisection in all rows at once, as ``torch.searchsorted`` would do it, but without a
    copy of the row for each draw.

    Args:
        cumulative: rising along each row, ``[b, R]``.
        row: which row to draw from, int64 ``[T]``.
        unit: random numbers in ``[0, 1)``, ``[T]``.

    Returns:
        Columns, int64 ``[T]``; of no meaning for a row whose total is 0.

    Example:
        >>> cumulative, row = torch.tensor([[0.0, 1.0, 1.0, 4.0]]), torch.tensor([0, 0])
        >>> draw_columns(cumulative, row, torch.tensor([0.2, 0.3]))
        tensor([1, 3])
    """
    total = cumulative[row, -1]
    # Rounding must not reach the total itself, which no running sum exceeds.
    target = torch.minimum(unit * total, torch.nextafter(total, torch.zeros_like(total)))
    low = torch.zeros_like(row)
    high = torch.full_like(row, cumulative.shape[1] - 1)
    for _ in range((cumulative.shape[1] - 1).bit_length()):
        middle = (low + high) // 2
        beyond = cumulative[row, middle] > target
        high = torch.where(beyond, middle, high)
        low = torch.where(beyond, low, torch.minimum(middle + 1, high))
    return high
