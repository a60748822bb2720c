"""The one matrix product under every distance: squared distances of all pairs.

Where rows repeat one another, rounding must not tell them apart. A matrix product rounds the same
numbers differently at different places of its result, so identical rows would be at slightly
unequal distances, and which of two equally near images counts as the nearer would depend on the
processor. Wherever a set holds such rows, :func:`without_rounding` replaces all rows by sums of
whole multiples of a power of two, few enough that every product and sum of them is exact. Then
identical rows are at identical distances, in any order and on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.torch_func import applied

_MANTISSA = 53  # bits of a float64, in which exact products are summed
_LEAST = 1e-150  # a largest entry that is smaller counts as this one
_PREFIX = 16  # columns that are compared before all are
_SAMPLED = 8  # rows that tell whether all are codes
_PARTS = {torch.float32: 1, torch.float64: 3}


def squared_distances(query: Tensor, reference: Tensor) -> Tensor:
    """``‖q − r‖²`` of all pairs by one matrix product, never negative.

    Args:
        query: ``[B, D]``; or ``[B, S, D]`` from :func:`without_rounding`.
        reference: ``[R, D]``; or ``[R, S, D]``.

    Returns:
        ``[B, R]``.

    Example:
        >>> squared_distances(torch.tensor([[3.0], [5.0]]), torch.tensor([[1.0]]))
        tensor([[ 4.],
                [16.]])
    """
    with torch.autocast(query.device.type, enabled=False):
        if query.ndim == 3:
            return _exact_distances(query, reference)
        squared: Tensor = applied(_Squared, query, reference)
        return squared


class _Squared(torch.autograd.Function):
    """The product, with the gradient ``2 Σⱼ gᵢⱼ (qᵢ − rⱼ)``: few passes over what is B×R.

    Where rounding has put the distance at 0 the gradient is that of the rows, nearly 0 too.
    """

    @staticmethod
    def forward(query: Tensor, reference: Tensor) -> Tensor:
        # Norms first: a norm added to the product would be one more pass over what is B×R.
        norms = (query * query).sum(1, keepdim=True) + (reference * reference).sum(1)
        return norms.addmm_(query, reference.T, alpha=-2).clamp_min_(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        query, reference = ctx.saved_tensors
        of_query = of_reference = None
        with torch.autocast(query.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                own = gradient.sum(1, keepdim=True) * query
                of_query = own.addmm(gradient, reference, alpha=-1).mul(2)
            if ctx.needs_input_grad[1]:
                own = gradient.sum(0)[:, None] * reference
                of_reference = own.addmm(gradient.T, query, alpha=-1).mul(2)
        return of_query, of_reference


def squared_differences(x: Tensor, y: Tensor) -> Tensor:
    """``‖x_i − y_i‖²`` row by row, without a product, ``[T]``.

    Args:
        x: ``[T, D]``; or ``[T, S, D]`` from :func:`without_rounding`.
        y: the same shape.

    Example:
        >>> squared_differences(torch.tensor([[3.0], [5.0]]), torch.tensor([[1.0], [5.0]]))
        tensor([4., 0.])
    """
    difference = x - y
    if x.ndim == 2:
        return (difference * difference).sum(1)
    parts = difference.unbind(1)
    return _sum_of_parts(lambda a, b: (a * b).sum(1), parts, parts)


def may_tie(rows: Tensor) -> Tensor:
    """Whether some rows are identical, or all are like codes: of few different magnitudes.

    Codes are at few different distances, so that ties are common without identical rows. A
    needless yes costs time, never precision.

    Args:
        rows: float32 or float64, ``[N, D]``.

    Returns:
        A boolean scalar on the device of the rows.

    Example:
        >>> may_tie(torch.tensor([[1.0, 0.3], [0.2, 0.1], [1.0, 0.3]]))
        tensor(True)
        >>> may_tie(torch.tensor([[0.7, -0.7], [0.7, 0.7]])), may_tie(torch.rand(9, 8))
        (tensor(True), tensor(False))
    """
    if len(rows) < 2 or not rows.shape[1]:
        return torch.zeros((), dtype=torch.bool, device=rows.device)
    codes = are_codes(rows)
    # Few columns nearly always tell; on an accelerator it would cost more to ask than to go on.
    if rows.device.type == "cpu" and rows.shape[1] > _PREFIX:
        suspected = any_equal(row_keys(rows[:, :_PREFIX])) | codes
        if not suspected:
            return suspected
    return any_equal(row_keys(rows)) | codes


def row_keys(rows: Tensor) -> Tensor:
    """A number for each row, the same for identical rows, hardly ever for others; int64 ``[N]``.

    Example:
        >>> keys = row_keys(torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]))
        >>> bool(keys[0] == keys[1]), bool(keys[0] == keys[2])
        (True, False)
    """
    integer = torch.int64 if rows.dtype == torch.float64 else torch.int32
    bits = (rows + 0.0).view(integer)  # −0 becomes 0
    odd = torch.arange(1, 2 * rows.shape[1], 2, device=rows.device)
    return (bits * (odd * odd * odd)).sum(1)


def without_rounding(query: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Rows for :func:`squared_distances` whose products no order of summation can change.

    A row becomes a sum of S parts, each of whole multiples of a power of two. float32 takes one
    part: its entries are rounded to about 2⁻²² of the largest entry, less than what the plain
    product loses. float64 takes three and loses nothing.

    Args:
        query: float32 or float64, ``[B, D]``.
        reference: of the same dtype, ``[R, D]``; may be the query.

    Returns:
        float64 ``[B, S, D]`` and ``[R, S, D]``.

    Example:
        >>> rows = torch.tensor([[0.1, 0.2], [0.1, 0.2], [0.4, 0.1]])
        >>> squared = squared_distances(*without_rounding(rows, rows))
        >>> bool((squared[:, 0] == squared[:, 1]).all()), squared[0, 1].item()
        (True, 0.0)
    """
    largest = largest_entry(reference)
    if query is reference:
        parts = in_exact_parts(reference, largest)
        return parts, parts
    largest = max(largest, largest_entry(query))
    return in_exact_parts(query, largest), in_exact_parts(reference, largest)


def largest_entry(rows: Tensor) -> float:
    """The largest magnitude of an entry; 0 without one.

    Example:
        >>> largest_entry(torch.tensor([[0.5, -2.0]]))
        2.0
    """
    return float(rows.abs().amax()) if rows.numel() else 0.0


def in_exact_parts(rows: Tensor, largest: float) -> Tensor:
    """The rows as sums of whole multiples of powers of two; see :func:`without_rounding`.

    Args:
        rows: float32 or float64, ``[N, D]``.
        largest: no entry of these rows, or of those they are compared with, is larger.

    Returns:
        float64 ``[N, S, D]``.

    Example:
        >>> in_exact_parts(torch.tensor([[0.75, 1.0]]), 1.0).tolist()
        [[[0.75, 1.0]]]
    """
    # ‖q‖² + 2|q·r| + ‖r‖² of D entries of b bits each stays below 2^53.
    bits = (_MANTISSA - 2 - math.ceil(math.log2(max(rows.shape[1], 2)))) // 2
    # Squares of what is far below this vanish in float64 anyway.
    unit = math.ldexp(1.0, math.frexp(max(largest, _LEAST))[1] - bits)
    rest, parts = rows.double(), []
    for _ in range(_PARTS[rows.dtype]):
        part = torch.round(rest / unit) * unit
        rest, unit = rest - part, math.ldexp(unit, -bits)
        parts.append(part)
    return torch.stack(parts, dim=1)


def any_equal(keys: Tensor) -> Tensor:
    """Whether any two of these are the same, a boolean scalar.

    Example:
        >>> any_equal(torch.tensor([3, 1, 3]))
        tensor(True)
    """
    ordered = keys.sort().values
    return (ordered[1:] == ordered[:-1]).any()


def are_codes(rows: Tensor) -> Tensor:
    """Whether each of a few rows has at most an eighth as many magnitudes as nonzero entries.

    Example:
        >>> are_codes(torch.tensor([[0.7, -0.7], [0.7, 0.7]])), are_codes(torch.rand(2, 9))
        (tensor(True), tensor(False))
    """
    if rows.shape[1] < 2:  # a single entry always has one magnitude
        return torch.zeros((), dtype=torch.bool, device=rows.device)
    if rows.device.type == "cpu" and len(rows):  # a few numbers of one row nearly always tell
        most = rows.shape[1] // 8
        if len(set(rows[0, : most + 2].abs().tolist()) - {0.0}) > max(1, most):
            return torch.zeros((), dtype=torch.bool, device=rows.device)
    some = rows[:: max(1, len(rows) // _SAMPLED)][:_SAMPLED].abs().sort(1).values
    some = F.pad(some, (1, 0))  # a zero before each row: every rise is a new magnitude
    magnitudes = (some[:, 1:] > some[:, :-1]).sum(1)
    return (magnitudes <= ((some > 0).sum(1) // 8).clamp_min(1)).all()


def _exact_distances(query: Tensor, reference: Tensor) -> Tensor:
    """``‖q‖² + ‖r‖² − 2 q·r``, each of the three added up from its parts in the same order."""
    own, other = query.unbind(1), reference.unbind(1)
    product = _sum_of_parts(lambda x, y: x @ y.T, own, other)
    own_norm = _sum_of_parts(lambda x, y: (x * y).sum(1, keepdim=True), own, own)
    other_norm = _sum_of_parts(lambda x, y: (x * y).sum(1), other, other)
    if len(own) == 1:  # nothing is rounded, so the sum may be taken in place
        return product.mul_(-2).add_(own_norm).add_(other_norm).clamp_min_(0)
    return (own_norm + other_norm).sub_(product.mul_(2)).clamp_min_(0)


def _sum_of_parts(
    dot: Callable[[Tensor, Tensor], Tensor], x: tuple[Tensor, ...], y: tuple[Tensor, ...]
) -> Tensor:
    """``(Σ xᵢ)·(Σ yⱼ)`` from products of two parts, in an order that is the same for y and x."""
    total = dot(x[0], y[0])
    for i in range(1, len(x)):
        for j in range(i):
            total += dot(x[i], y[j]) + dot(x[j], y[i])
        total += dot(x[i], y[i])
    return total
