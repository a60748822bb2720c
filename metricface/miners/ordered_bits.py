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
import torch.nn.functional as F
from torch import Tensor

from metricface.miners.compilation import dense

_FLOAT_OF = {torch.int32: torch.float32, torch.int64: torch.float64}
_LANES = 64

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


def next_beyond(
    distances: Tensor, row: Tensor, threshold: Tensor, *, compiled: bool = False
) -> tuple[Tensor, Tensor]:
    """For each (row, threshold): the smallest distance of the row strictly above the threshold.

    Args:
        distances: non-negative, ``[b, R]``; inf where an entry is not to be found.
        row: which row to search, int64 ``[T]``.
        threshold: non-negative, ``[T]``; or −1 to admit everything.
        compiled: run the inner step under torch.compile.

    Returns:
        The distance ``[T]``, inf if there is none, and its column (any, if there is none),
        int64 ``[T]``; of equal distances any one.

    Example:
        >>> d = torch.tensor([[3.0, 1.0, 2.0]])
        >>> row, threshold = torch.tensor([0, 0, 0]), torch.tensor([1.0, 2.5, 3.0])
        >>> next_beyond(d, row, threshold)[0]
        tensor([2., 3., inf])
    """
    bits = in_lanes(float_bits(distances))
    shift = wrap_shift(threshold_bits(threshold))
    if compiled:
        smallest, column = dense(smallest_shifted, compiled=True)(bits, row, shift)
    else:
        smallest, column = torch.empty_like(shift), torch.empty_like(row)
        scratch = bits.new_empty(0)  # one for all chunks: fresh memory costs more than the work
        for part in chunks(len(row), distances.shape[1], distances):
            smallest[part], column[part] = smallest_shifted(
                bits, row[part], shift[part], scratch.resize_(0)
            )
    nearest = (smallest - shift).view(distances.dtype)
    return torch.where(nearest > threshold, nearest, torch.inf), column


def in_lanes(rows: Tensor) -> Tensor:
    """Rows folded to 64 lanes, the last fold filled up with infinity: ``[b, R / 64, 64]``.

    Args:
        rows: distances or their bits, ``[b, R]``.

    Example:
        >>> in_lanes(torch.zeros(2, 65)).shape
        torch.Size([2, 2, 64])
    """
    missing = -rows.shape[1] % _LANES
    if missing:
        infinity = torch.tensor(torch.inf, dtype=_FLOAT_OF.get(rows.dtype, rows.dtype))
        rows = F.pad(rows, (0, missing), value=infinity.view(rows.dtype).item())
    return rows.view(len(rows), rows.shape[1] // _LANES, _LANES)


def row_minimum(distances: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest of each row and its column, as ``distances.min(1)``, but sooner.

    A minimum with its position costs many times one without, so it is found in two steps: the
    smallest of each lane, all lanes at once, then the place in the best lane.

    Args:
        distances: ``[b, R]``.

    Returns:
        ``[b]`` and, int64, ``[b]``; of equal distances any one.

    Example:
        >>> row_minimum(torch.tensor([[3.0, 1.0, 2.0]]))
        (tensor([1.]), tensor([1]))
    """
    folded = in_lanes(distances)
    lane = folded.amin(1).argmin(1)
    every = torch.arange(len(folded), device=folded.device)
    smallest, fold = folded[every, :, lane].min(1)
    return smallest, fold * _LANES + lane


def smallest_shifted(
    bits: Tensor, row: Tensor, shift: Tensor, scratch: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Smallest of ``bits[row] + shift`` along each row, and its column.

    In two steps, as :func:`row_minimum`.

    Args:
        bits: ``[b, S, lanes]`` integers.
        row: ``[T]``.
        shift: ``[T]``, added with wrap-around.
        scratch: an empty tensor like bits whose memory may be used.

    Returns:
        ``[T]`` and, int64, ``[T]``.

    Example:
        >>> bits = torch.tensor([[[5, 3], [4, 2]]])
        >>> smallest_shifted(bits, torch.tensor([0]), torch.tensor([10]))
        (tensor([12]), tensor([3]))
    """
    picked = torch.index_select(bits, 0, row, out=scratch)
    lane = picked.add_(shift[:, None, None]).amin(1).argmin(1)
    smallest, fold = (bits[row, :, lane] + shift[:, None]).min(1)
    return smallest, fold * bits.shape[2] + lane


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
