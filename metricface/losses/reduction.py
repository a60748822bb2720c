"""From one value per term to one value per batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch
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


class Sum(NamedTuple):
    """The terms of one kind, added up.

    Several processes add up their sums and their counts; the quotient is that of all terms.
    """

    total: Tensor
    """A scalar with its gradient; the terms themselves for ``reduction="none"``."""
    terms: Tensor
    """How many terms it is divided by, a scalar; 0 where it is not divided."""


def summed(terms: Tensor, reduction: Reduction, count: Tensor | None = None) -> Sum:
    """Add up the terms of a loss.

    Args:
        terms: non-negative, of any shape.
        reduction: ``"mean"`` over all terms, ``"nonzero"`` over those above 0, ``"sum"``, or
            ``"none"``.
        count: how many terms there are, where some entries stand for none (and are 0).

    Example:
        >>> import torch
        >>> summed(torch.tensor([0.0, 3.0, 1.0]), "nonzero")
        Sum(total=tensor(4.), terms=tensor(2))
    """
    if reduction == "nonzero":
        count = (terms > 0).sum()
    elif reduction != "mean":
        count = None
    elif count is None:
        count = terms.new_full((), terms.numel(), dtype=torch.int64)
    total = terms if reduction == "none" else terms.sum()
    return Sum(total, terms.new_zeros((), dtype=torch.int64) if count is None else count)


def joined(parts: Sequence[Sum]) -> Sum:
    """Terms of one kind from several parts of the anchors.

    Example:
        >>> import torch
        >>> joined([summed(torch.tensor([3.0]), "mean"), summed(torch.tensor([1.0]), "mean")])
        Sum(total=tensor(4.), terms=tensor(2))
    """
    totals = [each.total for each in parts]
    total = torch.cat(totals) if totals[0].ndim else torch.stack(totals).sum()
    return Sum(total, torch.stack([each.terms for each in parts]).sum())


def reduced(sums: Sequence[Sum], reduction: Reduction) -> Tensor:
    """The value of a batch from the sums of its kinds of terms; no terms give 0.

    Args:
        sums: one for each kind; each is divided by its own count, and the quotients are added.
        reduction: with which they were added up.

    Returns:
        A scalar, or all terms ``[T]`` for ``"none"``.

    Example:
        >>> import torch
        >>> reduced([summed(torch.tensor([3.0, 1.0]), "mean")], "mean")
        tensor(2.)
    """
    if reduction == "none":
        return torch.cat([each.total for each in sums])
    return torch.stack([each.total / each.terms.clamp_min(1) for each in sums]).sum()
