"""All pairs of two sets in tiles of bounded size, and the smallest that were met in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from metricface.distances.product import squared_distances
from metricface.distances.rows import Rows

WIDTH = 4096  # references of a tile, unless many are sought
# Entries of a tile. 16 MiB in float32, of which a processor's cache still holds about half when the
# tile is read. An accelerator has hardly a cache, and wants few and large steps.
_AREA, _AREA_ELSEWHERE = 1024 * WIDTH, 16384 * WIDTH
_FOLD = 32  # columns folded into one before the smallest are sought


class Tile(NamedTuple):
    """Squared distances ``[b, w]`` of some queries to some references, gone at the next tile.

    ``rows`` says which of the queries, ``columns`` the row numbers of the references ``[w]``.
    Rounding may put a distance a little below zero.
    """

    squared: Tensor
    rows: slice
    columns: Tensor


def width_for(k: int) -> int:
    """How many references to take together where the k nearest are sought.

    Keeping k beside each tile costs little if the tile is several times as wide.

    Example:
        >>> width_for(10), width_for(2000)
        (4096, 8000)
    """
    return max(WIDTH, 4 * k)


def in_whole_tiles(most: int, device: torch.device) -> tuple[int, int]:
    """How many queries to walk through together, and where such a walk may be cut.

    Cut at multiples of the step, it is made of the very tiles of the whole: each is multiplied in
    the same shape and so rounded alike, whoever does it.

    Args:
        most: queries together, at least 1.
        device: on which they are.

    Returns:
        The number of queries, whole steps of it where it is more than one; and the step.

    Example:
        >>> cpu = torch.device("cpu")
        >>> in_whole_tiles(3000, cpu), in_whole_tiles(10, cpu)
        ((2048, 1024), (10, 10))
    """
    step = min(_height(WIDTH, device), most)
    return most - most % step, step


def _height(width: int, device: torch.device) -> int:
    """Queries of a tile of so many references: a power of two, so that any divides the largest."""
    area = _AREA if device.type == "cpu" else _AREA_ELSEWHERE
    return 1 << (max(1, area // max(width, WIDTH)).bit_length() - 1)


def squared_tiles(
    query: Tensor,
    references: Rows,
    parts: Iterable[Tensor],
    *,
    negated: bool = False,
) -> Iterator[Tile]:
    """Squared distances of queries to references, part by part and tile by tile.

    With a column of norms beside each side, one matrix product gives the squared distance::

        [−2q, 1, ‖q‖²] · [r, ‖r‖², 1] = ‖q‖² − 2 q·r + ‖r‖²

    Nothing is added to the tile afterwards, so that it is written once and read once. Tiles
    share one piece of memory.

    Args:
        query: some of the references, or of rows beside them: ``[A, D]``, or ``[A, S, D]`` in
            parts whose products are exact.
        references: who they are compared with.
        parts: row numbers of references, int64; a part is the columns of a tile.
        negated: minus the squared distance, for whoever seeks the farthest.

    Example:
        >>> import numpy as np
        >>> from metricface.distances import SquaredEuclidean
        >>> rows = Rows(np.array([[0.0], [2.0]]), SquaredEuclidean(normalize=False))
        >>> for tile in squared_tiles(rows[:], rows, [torch.arange(2)]):
        ...     print(tile.rows, tile.squared.tolist())
        slice(0, 2, None) [[0.0, 4.0], [4.0, 0.0]]
    """
    exact = query.ndim == 3
    sign = -1 if negated else 1
    left = query if exact else _beside_norms(query, turned=True) * sign
    memory = left.new_empty(0)  # all tiles share it: fresh memory for each takes a seventh longer
    for numbers in (part for part in parts if len(part)):
        reference = references[numbers]
        right = reference if exact else _beside_norms(reference, turned=False).T
        columns = numbers.to(left.device)
        height = _height(len(numbers), left.device)
        for start in range(0, len(left), height):
            rows = slice(start, min(start + height, len(left)))
            if exact:
                yield Tile(squared_distances(left[rows], right).mul_(sign), rows, columns)
                continue
            size = (rows.stop - start) * len(numbers)
            if len(memory) < size:
                memory = left.new_empty(size)
            tile = memory[:size].view(rows.stop - start, -1)
            yield Tile(multiplied(left[rows], right, tile), rows, columns)


def _beside_norms(rows: Tensor, *, turned: bool) -> Tensor:
    """``[−2q, 1, ‖q‖²]`` of queries (turned), or ``[r, ‖r‖², 1]`` of references."""
    norm = rows.square().sum(dim=1, keepdim=True)
    one = torch.ones_like(norm)
    return torch.cat([-2 * rows, one, norm] if turned else [rows, norm, one], dim=1)


def multiplied(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """The matrix product of a tile, written into given memory.

    Example:
        >>> multiplied(torch.ones(1, 2), torch.ones(2, 1), torch.empty(1, 1))
        tensor([[2.]])
    """
    return torch.mm(left, right, out=out)


class Nearest:
    """The k smallest entries of each query met so far, and whose they are.

    The columns of a tile are folded, and the minimum of each fold is taken. The k smallest entries
    all lie in the k folds with the smallest minima, so that few entries are looked at again.

    Args:
        queries: the number of queries.
        k: how many of each are kept.
        like: a tensor whose dtype and device they take.

    Example:
        >>> import numpy as np
        >>> from metricface.distances import SquaredEuclidean
        >>> x = np.array([[0.0], [1.0], [5.0]])
        >>> rows = Rows(x, SquaredEuclidean(normalize=False))
        >>> nearest = Nearest(3, 2, like=rows[:])
        >>> for tile in squared_tiles(rows[:], rows, [torch.arange(3)]):
        ...     nearest.see(tile)
        >>> nearest.numbers()
        tensor([[0, 1],
                [1, 0],
                [2, 1]])
    """

    def __init__(self, queries: int, k: int, like: Tensor) -> None:
        self._values = like.new_full((queries, k), torch.inf)
        self._numbers = torch.full_like(self._values, -1, dtype=torch.int64)

    def see(self, tile: Tile) -> None:
        """Take what is smaller from another tile; entries of infinity are passed over."""
        known, k = self._values[tile.rows], self._values.shape[1]
        places = _candidates(tile.squared, k, known.amax(dim=1, keepdim=True))
        values = torch.cat([known, tile.squared.gather(1, places)], dim=1)
        values, kept = values.topk(k, dim=1, largest=False, sorted=False)
        numbers = self._numbers[tile.rows].gather(1, kept.clamp(max=k - 1))
        if places.shape[1]:
            new = tile.columns[places.gather(1, (kept - k).clamp_(min=0))]
            numbers = new.where(kept >= k, numbers)
        self._values[tile.rows], self._numbers[tile.rows] = values, numbers

    def values(self) -> Tensor:
        """The entries ``[queries, k]``, smallest first, then infinity."""
        return self._values.sort(dim=1).values

    def numbers(self) -> Tensor:
        """The numbers of their columns ``[queries, k]``; -1 where only infinity was met."""
        values, order = self._values.sort(dim=1)
        return self._numbers.gather(1, order).where(values < torch.inf, -1)


def _candidates(tile: Tensor, k: int, bound: Tensor) -> Tensor:
    """Columns that hold, of each row, the k smallest entries below its bound, ``[b, c]``."""
    rows, width = tile.shape
    folds = width // _FOLD
    if folds <= k:
        return torch.arange(width, device=tile.device).expand(rows, -1)
    # Folding columns far apart, not neighbours, is a minimum of whole vectors: several times
    # as fast, and the samples of one identity, often stored together, do not share a fold.
    least = tile[:, : folds * _FOLD].reshape(rows, _FOLD, folds).amin(dim=1)
    # After a few tiles hardly any fold holds less than what is known, and few are looked into.
    below = min(k, int((least < bound).sum(dim=1).max()))
    fold = least.topk(below, dim=1, largest=False, sorted=False).indices
    within = torch.arange(_FOLD, device=tile.device) * folds
    inside = (fold[:, :, None] + within).flatten(1)
    rest = torch.arange(folds * _FOLD, width, device=tile.device).expand(rows, -1)
    return torch.cat([inside, rest], dim=1)
