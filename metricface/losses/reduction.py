"""From one value per term to one value per batch."""

from __future__ import annotations

from typing import get_args

from torch import Tensor

from metricface.types import Reduction


def check_reduction(reduction: str) -> None:
    """Raise unless this names a reduction.

    Example:
        >>> check_reduction("average")
        Traceback (most recent call last):
        ...
        ValueError: reduction must be one of mean, nonzero, sum, none, got 'average'
    """
    if reduction not in get_args(Reduction):
        known = ", ".join(get_args(Reduction))
        raise ValueError(f"reduction must be one of {known}, got {reduction!r}")


def reduce(terms: Tensor, reduction: Reduction, count: Tensor | None = None) -> Tensor:
    """Reduce the terms of a loss; no terms give 0.

    Args:
        terms: non-negative, ``[T]``.
        reduction: ``"mean"`` over all terms, ``"nonzero"`` over those above 0, ``"sum"``, or
            ``"none"``.
        count: how many terms there are, where some entries stand for none (and are 0).

    Returns:
        A scalar, or ``[T]`` for ``"none"``.

    Example:
        >>> import torch
        >>> reduce(torch.tensor([0.0, 3.0, 1.0]), "nonzero")
        tensor(2.)
    """
    if reduction == "none":
        return terms
    if reduction == "sum":
        return terms.sum()
    if reduction == "nonzero":
        count = (terms > 0).sum()
    elif count is None:
        count = terms.new_tensor(terms.numel())
    return terms.sum() / count.clamp_min(1)
