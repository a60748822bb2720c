"""How many impostors of each fold get in where the others set the threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metricface.distributed.together import ALONE, Together
from metricface.evaluation.operating_points import Counts, OperatingPoints, ThresholdGrid


class Impostors(NamedTuple):
    """Distances and folds of all impostor pairs, in any number of parts, as often as wanted."""

    parts: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    like: Tensor
    """Of the dtype and device of the distances."""
    together: Together = ALONE
    """The ranks of which each has some of the parts."""


_BINS = 1 << 12


def held_out_accepts(points: OperatingPoints, allowed: Counts, impostors: Impostors) -> Counts:
    """Impostors of each fold that get in below the threshold that the other folds set.

    So many impostors of the other folds may get in; the next one, the first too many, is where
    the threshold lies. No distance is kept to find it: the cells in which impostors were counted
    tell about where it is, that cell is counted in even steps of the floating-point numbers, and
    then the step that holds it, until a step is a single number. So nothing is rounded.

    Args:
        points: the counts.
        allowed: how many of the others may get in, int64 ``[F, folds]``.
        impostors: the pairs that were counted; met once more, or a few times where a cell holds
            very many numbers.

    Returns:
        int64 ``[F, folds]``.

    Example:
        >>> genuine, fold = torch.tensor([0.0, 0.0]), torch.tensor([0, 1])
        >>> met = [(torch.tensor([1.0, 2.0, 1.5, 2.5]), torch.tensor([0, 0, 1, 1]))]
        >>> points = OperatingPoints.count(genuine, fold, met, 2, upper=2.5)
        >>> impostors = Impostors(lambda: met, like=genuine)
        >>> held_out_accepts(points, np.array([[1, 1]]), impostors)  # below 2.5, below 2.0
        array([[2, 1]])
    """
    search = _Search(points, allowed)
    if search.open.any():
        search.begin(points.grid, impostors.like)
        while search.open.any():
            search.narrow(impostors, points.grid)
    accepted: Counts = search.accepted.reshape(allowed.shape)
    return accepted


class _Search:
    """For each FAR and fold, the numbers between which the first impostor too many lies."""

    def __init__(self, points: OperatingPoints, allowed: Counts) -> None:
        self._folds = len(points.cells)
        self._fold = np.broadcast_to(np.arange(self._folds), allowed.shape).ravel()
        self._left = allowed.ravel().copy()
        self._cell: Counts = np.zeros_like(self._left)
        self.accepted: Counts = np.zeros_like(self._left)
        self.open = np.zeros(len(self._left), dtype=bool)
        for n in range(len(self._left)):
            self._cell[n], self.open[n] = self._enter(n, points.cells)

    def begin(self, grid: ThresholdGrid, like: Tensor) -> None:
        """Take the numbers just outside the cells as bounds."""
        self._low = _first_keys(grid, self._cell, like) - 1
        self._high = _first_keys(grid, self._cell + 1, like)

    def narrow(self, impostors: Impostors, grid: ThresholdGrid) -> None:
        """Of each that is not settled, go to the step in which it lies."""
        ends = np.stack([self._low[self.open], self._high[self.open]])
        ends, which = np.unique(ends, axis=1, return_inverse=True)
        widths = (ends[1] - ends[0] - 1).tolist()
        shifts = [max(0, (n - 1).bit_length() - _BINS.bit_length() + 1) for n in widths]
        counts = _counted(impostors, grid, ends, shifts, self._folds)
        for n, of in zip(np.flatnonzero(self.open), which.ravel(), strict=True):
            step, held = self._enter(int(n), counts[of])
            self._low[n] += step << shifts[of]
            self._high[n] = min(self._high[n], self._low[n] + (1 << shifts[of]) + 1)
            self.open[n] = shifts[of] > 0 and held

    def _enter(self, n: int, counts: Counts) -> tuple[int, bool]:
        """Which of ascending steps it lies in, and whether impostors of its own fold do as well."""
        own = counts[self._fold[n]]
        others = (counts.sum(0) - own).cumsum()
        step = int(np.searchsorted(others, self._left[n], side="right"))
        self._left[n] -= others[step - 1] if step else 0
        self.accepted[n] += own[:step].sum()
        return step, step < len(own) and bool(own[step])


def _counted(
    impostors: Impostors, grid: ThresholdGrid, ends: Counts, shifts: list[int], folds: int
) -> Counts:
    """Impostors of each fold in the steps within some bounds ``[2, I]``, ``[I, folds, _BINS]``."""
    like = impostors.like
    low, high = torch.from_numpy(np.ascontiguousarray(ends)).to(like.device)
    shift = torch.tensor(shifts, device=like.device)
    close = grid.between(_number(low, like.dtype), _number(high, like.dtype))
    counts = torch.zeros(len(low) * folds * _BINS, dtype=torch.int64, device=like.device)
    for values, fold in impostors.parts():
        some = close[grid.cell(values)].nonzero().flatten()
        key = _keys(values[some])
        of = (torch.searchsorted(low, key) - 1).clamp_(min=0)
        inside = (key > low[of]) & (key < high[of])
        key, of, some = key[inside], of[inside], some[inside]
        place = (of * folds + fold[some]) * _BINS + ((key - low[of] - 1) >> shift[of])
        counts.scatter_add_(0, place, torch.ones_like(place))
    return impostors.together.sum(counts).view(-1, folds, _BINS).cpu().numpy()


def _first_keys(grid: ThresholdGrid, cells: Counts, like: Tensor) -> Counts:
    """The key of the first number in each cell, by bisection: only the grid knows cells."""
    last = int(_keys(like.new_tensor(torch.inf))) + 1
    low = np.full_like(cells, -1)
    high = np.full_like(cells, last)
    while (high - low > 1).any():
        middle = (low + high) // 2
        number = _number(torch.from_numpy(middle.clip(min=0)), like.dtype)
        reached = (grid.cell(number).numpy() >= cells) & (middle >= 0)
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high


def _keys(distances: Tensor) -> Tensor:
    """Integers in the order of the numbers, consecutive for consecutive numbers."""
    whole = torch.int64 if distances.dtype == torch.float64 else torch.int32
    return distances.abs().view(whole).long()  # a zero may be a negative one


def _number(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """The number of each key, or the nearest there is."""
    whole = torch.int64 if dtype == torch.float64 else torch.int32
    last = int(_keys(torch.tensor(torch.inf, dtype=dtype)))
    return keys.clamp(0, last).to(whole).view(dtype)
