"""Rows of all ranks in rank order, and the sum of their gradients on the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from metricface.distributed.world import can_reduce_scatter, travels_on
from metricface.embeddings import working_dtype


def gather_rows(own: Tensor, counts: Sequence[int]) -> Tensor:
    """All ranks' rows of a table of bytes or numbers, in rank order, without gradient.

    Args:
        own: ``[n, w]``, with the same width and dtype on all ranks.
        counts: rows of each rank.

    Returns:
        ``[N, w]``, on the device on which it travelled.
    """
    most, width = max(counts), own.shape[1]
    device = travels_on(own)
    # Not every backend takes parts of different lengths.
    padded = torch.zeros(most, width, dtype=own.dtype, device=device)
    padded[: len(own)] = own
    every = padded.new_empty(len(counts), most, width)
    if every.numel():
        dist.all_gather(list(every.unbind()), padded)
    return torch.cat([part[:count] for part, count in zip(every, counts, strict=True)])


class WithGradient(torch.autograd.Function):
    """Gathered rows as a function of a rank's own, and parameters that all ranks have.

    Backward adds up the gradient of the rows over the ranks and averages that of the parameters,
    in one step, so that every rank meets the others in the same order.
    """

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, every: Tensor, counts: Sequence[int], rank: int, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        """Gathered rows ``[N, D]`` and parameters as they are; ``own`` is among the rows."""
        ctx.counts, ctx.rank = counts, rank
        return tuple(each.view_as(each) for each in (every, *parameters))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, rows: Tensor, *parameters: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of a rank's own rows ``[n, D]`` and of the parameters, from all ranks."""
        lifted = rows.to(working_dtype(rows))
        own = _own_sum(lifted, ctx.counts, ctx.rank).to(rows.device, rows.dtype)
        means = [total(each).div_(len(ctx.counts)).to(each.device) for each in parameters]
        return own, None, None, None, *means


def _own_sum(every: Tensor, counts: Sequence[int], rank: int) -> Tensor:
    """The sum over ranks of this rank's rows ``[n, D]``, from a table ``[N, D]`` on each."""
    device = travels_on(every)
    first = sum(counts[:rank])
    if not every.numel():
        return every[first : first + counts[rank]]
    if not can_reduce_scatter(device):
        return total(every)[first : first + counts[rank]]
    parts = every.new_zeros(len(counts), max(counts), every.shape[1], device=device)
    for part, rows in zip(parts, torch.split(every, list(counts)), strict=True):
        part[: len(rows)] = rows
    own = torch.empty_like(parts[0])
    dist.reduce_scatter(own, list(parts.unbind()))
    return own[: counts[rank]]


def total(own: Tensor) -> Tensor:
    """The sum over ranks, on the device on which it travelled."""
    every = own.to(travels_on(own), copy=True, memory_format=torch.contiguous_format)
    dist.all_reduce(every)
    return every
