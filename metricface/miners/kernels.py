"""The dense steps of mining: each looks at every entry of a block of distances.

Mining spends its time here, so these functions avoid what is slow: selecting by a boolean mask,
and minima that also tell where they are.

Distances are compared as integers: the bits of non-negative floats, read as integers, are in the
same order as the floats. Adding ``MAX − bits(t)``, with MAX the largest integer, makes exactly the
distances above a threshold t overflow: they become the lowest integers, still in order. So one
addition and a plain minimum find the smallest distance above t, without rounding. A masked minimum
would take a comparison, a selection and a minimum.

A minimum with its place is found in two steps. A row is folded to 64 lanes; the smallest of each
lane, all lanes at once, tells the best lane, and only that lane is searched for the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.identities import MatchBlock
from metricface.miners.compilation import dense
from metricface.miners.draws import random_words

_Scratch: TypeAlias = "tuple[Tensor | None, Tensor | None]"

_LANES = 64
# What is looked at together stays in a core's cache; an accelerator wants few launches.
_CHUNK_BYTES, _CHUNK_BYTES_ELSEWHERE = 2**20, 2**26


def extreme_positive(
    distances: Tensor, block: MatchBlock, which: Literal["farthest", "nearest"]
) -> tuple[Tensor, Tensor]:
    """The farthest or nearest positive of each anchor; of equal ones the first.

    Positives are few and listed pair by pair, so the other distances are not looked at. The
    reduction does not tell which pair was the extreme one, so its place is sought in a second.

    Args:
        distances: ``[b, R]``.
        block: who matches whom.
        which: ``"farthest"`` or ``"nearest"``.

    Returns:
        Its place in ``block.positive`` (−1: the anchor has none), int64 ``[b]``, and its
        distance (−inf or inf) ``[b]``.

    Example:
        >>> from metricface.identities import Matches
        >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]])
        >>> place, distance = extreme_positive(distances, Matches([0, 0, 0]).block(), "farthest")
        >>> distance
        tensor([3., 2., 3.])
    """
    rows, pairs = block.shape[0], len(block.anchor)
    to_positive = distances[block.anchor, block.positive]
    worst, reduce = (-torch.inf, "amax") if which == "farthest" else (torch.inf, "amin")
    extreme = distances.new_full((rows,), worst)
    extreme.scatter_reduce_(0, block.anchor, to_positive, reduce)
    place = torch.arange(pairs, device=distances.device)
    place.masked_fill_(to_positive != extreme[block.anchor], pairs)
    first = torch.full((rows,), pairs, device=distances.device)
    first.scatter_reduce_(0, block.anchor, place, "amin")
    return torch.where(first < pairs, first, -1), extreme


def row_minimum(distances: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest of each row and its column, as ``distances.min(1)``, but sooner.

    A minimum that also tells its place takes many times as long as one that does not, so the
    place is looked for in one lane only.

    Args:
        distances: ``[b, R]``.

    Returns:
        ``[b]`` and, int64, ``[b]``; of equal distances any one.

    Example:
        >>> row_minimum(torch.tensor([[3.0, 1.0, 2.0]]))
        (tensor([1.]), tensor([1]))
    """
    folded = _in_lanes(distances)
    lane = folded.amin(1).argmin(1)
    every = torch.arange(len(folded), device=folded.device)
    smallest, fold = folded[every, :, lane].min(1)
    return smallest, fold * _LANES + lane


def next_beyond(
    distances: Tensor, row: Tensor, threshold: Tensor, *, compiled: bool = False
) -> tuple[Tensor, Tensor]:
    """For each (row, threshold) the smallest distance of the row strictly above the threshold.

    This is the hardest negative beyond a positive. It is found by comparing integers: one
    addition and one minimum for each entry.

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
    bits, shift = _bits(_in_lanes(distances)), _wrapping_shift(threshold)
    smallest, column = _answered(_smallest_shifted, (bits,), (row, shift), compiled=compiled)
    nearest = (smallest - shift).view(distances.dtype)
    return torch.where(nearest > threshold, nearest, torch.inf), column


def random_between(
    distances: Tensor,
    row: Tensor,
    above: Tensor,
    below: Tensor,
    key: int,
    slot: tuple[Tensor, Tensor],
    *,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """For each (row, above, below) a random column with ``above < distance < below``.

    Every such column is equally likely. Each column has a random odd word, each question
    another, and the largest product between the bounds wins: one pass, where counting the
    columns between the bounds and then drawing one would take several.

    Args:
        distances: non-negative, ``[b, R]``; inf where an entry is not to be found.
        row: which row to search, int64 ``[T]``.
        above: strict lower bound, ``[T]``; −1 for none.
        below: strict upper bound, ``[T]``.
        key: 64-bit key of this call.
        slot: two integers that name the question, int64 ``[T]`` each.
        compiled: run the inner step under torch.compile.

    Returns:
        Whether there is one, bool ``[T]``, and the column, int64 ``[T]``.

    Example:
        >>> d, zero = torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([0])
        >>> low, high = torch.tensor([0.1]), torch.tensor([0.3])
        >>> random_between(d, zero, low, high, 7, (zero, zero))
        (tensor([True]), tensor([1]))
    """
    bits, shift = _bits(_in_lanes(distances)), _wrapping_shift(above)
    every = torch.arange(bits[0].numel(), device=bits.device).view(bits.shape[1:])
    column_word = random_words(key, every, torch.full_like(every, -1)).to(bits.dtype) | 1
    question_word = random_words(key, *slot).to(bits.dtype) | 1
    asked = row, shift, _bits(below) + shift, question_word
    best, column = _answered(_largest_word_below, (bits, column_word), asked, compiled=compiled)
    # The overflow tells nothing where rounding has left no number between the bounds.
    return (best > 0) & (above < below), column


# The inner steps, apart from the rest so that each compiles into one piece. They take bits
# [b, S, 64] and, for each of T questions, a row and a shift to add to its bits; ``scratch`` is two
# empty tensors whose memory they may use. They return a value and a column for each question.


def _smallest_shifted(
    bits: Tensor, row: Tensor, shift: Tensor, scratch: _Scratch = (None, None)
) -> tuple[Tensor, Tensor]:
    """The smallest of ``bits[row] + shift`` along each row.

    Example:
        >>> bits = torch.tensor([[[5, 3], [4, 2]]])
        >>> _smallest_shifted(bits, torch.tensor([0]), torch.tensor([10]))
        (tensor([12]), tensor([3]))
    """
    picked = torch.index_select(bits, 0, row, out=scratch[0])
    lane = picked.add_(shift[:, None, None]).amin(1).argmin(1)
    smallest, fold = (bits[row, :, lane] + shift[:, None]).min(1)
    return smallest, fold * bits.shape[2] + lane


def _largest_word_below(
    bits: Tensor,
    column_word: Tensor,
    row: Tensor,
    shift: Tensor,
    limit: Tensor,
    question_word: Tensor,
    scratch: _Scratch = (None, None),
) -> tuple[Tensor, Tensor]:
    """The largest ``column_word · question_word`` where ``bits[row] + shift < limit``.

    Without its sign bit. Where there is none it is 0, which no product of odd words is.

    Example:
        >>> one, words = torch.tensor([0]), torch.tensor([3, 5, 7])
        >>> bits = torch.tensor([[[1, 2, 3]]])
        >>> _largest_word_below(bits, words[None], one, one, torch.tensor([3]), words[:1])[1]
        tensor([1])
    """
    largest = torch.iinfo(bits.dtype).max
    picked = torch.index_select(bits, 0, row, out=scratch[0]).add_(shift[:, None, None])
    # Written as integers: selecting by a boolean mask costs many times a multiplication.
    inside = torch.lt(picked, limit[:, None, None], out=scratch[0])
    word = torch.mul(column_word, question_word[:, None, None], out=scratch[1])
    lane = word.bitwise_and_(largest).mul_(inside).amax(1).argmax(1)
    inside = bits[row, :, lane] + shift[:, None] < limit[:, None]
    word = column_word[:, lane].T * question_word[:, None] & largest
    best, fold = (word * inside).max(1)
    return best, fold * bits.shape[2] + lane


def _answered(
    kernel: Callable[..., tuple[Tensor, Tensor]],
    shared: tuple[Tensor, ...],
    asked: tuple[Tensor, ...],
    *,
    compiled: bool,
) -> tuple[Tensor, Tensor]:
    """Answers of an inner step: compiled, to all questions at once; or plainly, chunk by chunk.

    ``shared`` begins with the bits, ``asked`` with the row and the shift of each question.
    """
    if compiled:
        return dense(kernel, compiled=True)(*shared, *asked)
    bits, (row, shift, *_) = shared[0], asked
    best, column = torch.empty_like(shift), torch.empty_like(row)
    budget = _CHUNK_BYTES if bits.device.type == "cpu" else _CHUNK_BYTES_ELSEWHERE
    step = max(1, budget // max(1, bits.shape[1] * _LANES * bits.element_size()))
    # One for all chunks: fresh memory costs more than the work.
    scratch = bits.new_empty(0), bits.new_empty(0)
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        emptied = scratch[0].resize_(0), scratch[1].resize_(0)
        best[part], column[part] = kernel(*shared, *(each[part] for each in asked), emptied)
    return best, column


def _bits(distances: Tensor) -> Tensor:
    """Non-negative floats as integers in the same order: a view, int32 or int64."""
    return distances.view(torch.int64 if distances.dtype == torch.float64 else torch.int32)


def _wrapping_shift(threshold: Tensor) -> Tensor:
    """What to add to bits so that all above the threshold come first, in order, the rest last.

    Any negative threshold counts as just below zero.

    Example:
        >>> (_bits(torch.tensor([4.0, 5.0, 6.0])) + _wrapping_shift(torch.tensor(5.0))).argmin()
        tensor(2)
    """
    limit = torch.where(threshold < 0, -1, _bits(threshold.clamp_min(0)))
    return torch.iinfo(limit.dtype).max - limit


def _in_lanes(distances: Tensor) -> Tensor:
    """Rows folded to 64 lanes, the last fold filled up with infinity.

    Example:
        >>> _in_lanes(torch.zeros(2, 65)).shape
        torch.Size([2, 2, 64])
    """
    missing = -distances.shape[1] % _LANES
    if missing:
        distances = F.pad(distances, (0, missing), value=torch.inf)
    return distances.view(len(distances), distances.shape[1] // _LANES, _LANES)
