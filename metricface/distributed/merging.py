"""Numbers of every row of one batch, of which each process found a part."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from metricface.distributed.world import travels_on


def merged(exponents: Tensor, summands: Tensor) -> tuple[Tensor, Tensor]:
    """The log-sum-exp over ranks of some numbers, and the sum over ranks of others.

    Every rank has to call it, and gets the same. What follows has to be the same computation on
    all ranks: backward sends nothing, but takes it that the gradient which arrives here is that
    of the one loss they all have, and gives each rank that of its own part.

    Args:
        exponents: of this rank ``[N]``; −inf where it has nothing to add.
        summands: of this rank ``[k, N]``.

    Returns:
        ``[N]`` and ``[k, N]``.
    """
    log_total, total = _Merged.apply(exponents, summands)  # type: ignore[no-untyped-call]
    return log_total, total


class _Merged(torch.autograd.Function):
    """Two collectives forward, over N and over (k + 1)·N numbers; none backward."""

    @staticmethod
    def forward(ctx: Any, exponents: Tensor, summands: Tensor) -> tuple[Tensor, Tensor]:
        device = travels_on(exponents)
        # With −inf on all ranks the largest may not be subtracted.
        largest = exponents.to(device, copy=True).clamp_min_(torch.finfo(exponents.dtype).min)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        odds = (exponents - largest.to(exponents.device)).exp()
        table = torch.cat([odds[None], summands]).to(device)
        dist.all_reduce(table)
        total = table[0].to(odds.device)
        ctx.save_for_backward(odds / torch.where(total > 0, total, 1.0))
        log_total = largest.to(odds.device) + total.log()
        return log_total, table[1:].to(summands.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_log: Tensor, of_sum: Tensor) -> tuple[Tensor, Tensor]:
        (share,) = ctx.saved_tensors
        return of_log * share, of_sum
