"""Lengths of rows, and rows of length one, right at every length a float can have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metricface.torch_func import applied, differentiated_once

#: A row shorter than this still becomes a unit row, but the gradient, which grows as one over the
#: length, does not grow any more.
GRADIENT_FLOOR = 1e-12

_EXPONENT = {
    torch.float32: (torch.int32, 0x7F800000),
    torch.float64: (torch.int64, 0x7FF0000000000000),
}


def row_lengths(x: Tensor) -> Tensor:
    """``‖x‖`` of each row; 1 for a zero row, so that dividing by it leaves the row zero.

    The squares neither overflow nor vanish. A length beyond the largest float is the largest float.

    Args:
        x: float32 or float64, ``[N, D]``.

    Returns:
        ``[N, 1]``.

    Example:
        >>> row_lengths(torch.tensor([[3.0, 4.0], [3e-30, 4e-30], [0.0, 0.0]])).flatten()
        tensor([5.0000e+00, 5.0000e-30, 1.0000e+00])
    """
    if x.dtype == torch.float32:
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float64)
    else:
        power = _power_of_two(x)
        length = torch.linalg.vector_norm(x / power, dim=1, keepdim=True) * power
    length = torch.where(length > 0, length, 1.0)
    return length.clamp_max(torch.finfo(x.dtype).max).to(x.dtype)


def unit_rows(x: Tensor) -> Tensor:
    """Rows scaled to length one; a zero row stays zero.

    A gradient g becomes ``(g − u (u·g)) / max(‖x‖, 1e-12)``, where u is the unit row; through a
    zero row it passes unchanged.

    Args:
        x: float32 or float64, ``[N, D]``.

    Returns:
        ``[N, D]``.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [3e-30, 4e-30], [3e30, 4e30], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.6000, 0.8000],
                [0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    rows: Tensor = applied(_UnitRows, x)[0]
    return rows


class _UnitRows(torch.autograd.Function):
    """``u = x/‖x‖`` and the length, with the gradient ``(g − u (u·g)) / max(‖x‖, floor)``."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        power = _power_of_two(x)
        near_one = x / power
        length = torch.linalg.vector_norm(near_one, dim=1, keepdim=True)
        told = length > 0
        unit = near_one.div_(torch.where(told, length, 1.0))
        floored = (length * power).clamp(GRADIENT_FLOOR, torch.finfo(x.dtype).max)
        return unit, torch.where(told, floored, 1.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*output)
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> Tensor:
        unit, length = ctx.saved_tensors
        across = gradient - unit * (unit * gradient).sum(1, keepdim=True)
        step: Tensor = across / length
        return step


def _power_of_two(x: Tensor) -> Tensor:
    """The power of two at or below the largest entry of each row, ``[N, 1]``; exact to divide by.

    The exponent bits of the largest entry say which. Where they are 0, as in a zero row, it is the
    smallest normal number.
    """
    integer, exponent = _EXPONENT[x.dtype]
    if not x.shape[1]:
        return x.new_ones(len(x), 1)
    largest = x.detach().abs().amax(1, keepdim=True)
    return (largest.view(integer) & exponent).view(x.dtype).clamp_min(torch.finfo(x.dtype).tiny)
