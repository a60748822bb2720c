"""Comparing distances as integers: the entry next beyond a threshold, in two cheap passes.

The bits of non-negative floats, read as integers, are in the same order as the floats. So the
smallest distance above a threshold t is the smallest ``bits(d) − bits(t) − 1`` that has not
gone below zero; and if the subtraction wraps around to the far end of the integers, what has
gone below zero is larger than all that has not. One addition and one minimum, exact and strict,
where a masked minimum needs a comparison, a selection and a minimum.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# A chunk of rows stays in a core's cache between the passes; an accelerator wants few launches.
_CHUNK_BYTES = {"cpu": 2**20}
_CHUNK_BYTES_ELSEWHERE = 2**26


def float_bits(distances: Tensor) -> Tensor:
    """Non-negative floats as integers in the same order: a view, int32 or int64.

    Example:
        >>> bits = float_bits(torch.tensor([0.0, 1e-30, 1.0, float("inf")]))
        >>> bool((bits.diff() > 0).all())
        True
    """
    return distances.view(torch.int64 if distances.dtype == torch.float64 else torch.int32)


def chunks(total: int, width: int, like: Tensor) -> Iterator[slice]:
    """Slices of ``total`` rows, each with about a cache full of ``width`` entries like these.

    Example:
        >>> list(chunks(3, 2**18, torch.zeros(1)))
        [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    budget = _CHUNK_BYTES.get(like.device.type, _CHUNK_BYTES_ELSEWHERE)
    step = max(1, budget // max(1, width * like.element_size()))
    return (slice(start, min(start + step, total)) for start in range(0, total, step))


def next_beyond(distances: Tensor, row: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """For each (row, threshold): the smallest distance of the row strictly above the threshold.

    Args:
        distances: non-negative, ``[b, R]``; inf where an entry is not to be found.
        row: which row to search, int64 ``[T]``.
        threshold: non-negative, ``[T]``; or −1 to admit everything.

    Returns:
        The distance ``[T]``, inf if there is none, and its column (any, if
        there is none), int64 ``[T]``.

    Example:
        >>> d = torch.tensor([[3.0, 1.0, 2.0]])
        >>> row, threshold = torch.tensor([0, 0, 0]), torch.tensor([1.0, 2.5, 3.0])
        >>> next_beyond(d, row, threshold)
        (tensor([2., 3., inf]), tensor([2, 0, 1]))
    """
    bits, limit = float_bits(distances), threshold_bits(threshold)
    nearest = torch.empty_like(threshold)
    column = torch.empty_like(row)
    for part in chunks(len(row), bits.shape[1], bits):
        shift = wrap_shift(limit[part])
        shifted = bits.index_select(0, row[part]).add_(shift[:, None])
        smallest, column[part] = shifted.min(1)
        nearest[part] = (smallest - shift).view(distances.dtype)
    return torch.where(nearest > threshold, nearest, torch.inf), column


def threshold_bits(threshold: Tensor) -> Tensor:
    """Bits of a threshold, where any negative one counts as just below zero.

    Example:
        >>> threshold_bits(torch.tensor([-1.0, 0.0]))
        tensor([-1,  0], dtype=torch.int32)
    """
    return torch.where(threshold < 0, -1, float_bits(threshold.clamp_min(0)))


def wrap_shift(limit: Tensor) -> Tensor:
    """What to add to bits so that all above ``limit`` come first, in order, and the rest last.

    Example:
        >>> (torch.tensor([4, 5, 6], dtype=torch.int32)
        ...  + wrap_shift(torch.tensor(5, dtype=torch.int32))).argmin()
        tensor(2)
    """
    return torch.iinfo(limit.dtype).max - limit
