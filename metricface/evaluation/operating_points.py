"""Where to draw the line: accepts and rejects at every threshold worth having."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances.threshold import threshold_gain
from metricface.distributed.together import ALONE, Together

_CELLS, _TINY = 1 << 15, 1e-30

Counts = npt.NDArray[np.int64]
Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Roc:
    """The receiver operating characteristic, a corner per entry; a pair is accepted at d ≤ t."""

    far: Curve
    """False accept rate: share of impostor pairs accepted, ascending from 0 to 1."""
    tar: Curve
    """True accept rate: share of genuine pairs accepted, ascending from 0 to 1."""
    thresholds: Curve
    """The distance up to which pairs are accepted, from −∞ to ∞."""


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Accepted pairs at each threshold, per fold; a pair is accepted at d ≤ t.

    The thresholds are −∞ and each genuine distance met. Between two of them no further genuine
    pair is won and impostors only enter, so the best thresholds are among them, and the whole
    ROC is known from how many impostors stand below and how many at each. So impostors are
    counted, never stored, and nothing is approximated.
    """

    thresholds: Curve
    """−∞, then the genuine distances, each once, ascending, ``[U + 1]``."""
    genuine: Counts
    """Genuine pairs accepted, ``[folds, U + 1]``."""
    impostor: Counts
    """Impostor pairs accepted, ``[folds, U + 1]``."""
    nearer: Counts
    """Impostor pairs of all folds strictly nearer than the threshold, ``[U + 1]``."""
    genuine_total: Counts
    """Genuine pairs, ``[folds]``."""
    impostor_total: Counts
    """Impostor pairs, ``[folds]``."""
    grid: ThresholdGrid
    """Cells in which impostors were counted."""
    cells: Counts
    """Impostor pairs in each cell, ``[folds, cells]``."""

    @classmethod
    def count(
        cls,
        genuine: Tensor,
        genuine_fold: Tensor,
        impostors: Iterable[tuple[Tensor, Tensor]],
        folds: int,
        *,
        upper: float,
        together: Together = ALONE,
    ) -> OperatingPoints:
        """Count what each threshold accepts.

        Args:
            genuine: distances of the genuine pairs ``[G]``.
            genuine_fold: the fold of each, int64 ``[G]``.
            impostors: distances and folds of the impostor pairs, in any number of parts.
            folds: number of folds.
            upper: about the largest distance there is; no result depends on it.
            together: the ranks that have the other impostors, and the same of everything else.

        Returns:
            The counts; memory is O(folds × (G + cells) + the largest part).

        Example:
            >>> zero = torch.zeros(2, dtype=torch.int64)
            >>> genuine, impostors = torch.tensor([0.1, 0.3]), [(torch.tensor([0.2, 0.5]), zero)]
            >>> OperatingPoints.count(genuine, zero, impostors, 1, upper=0.5).impostor
            array([[0, 0, 1]])
        """
        distances, place = torch.unique(genuine, return_inverse=True)
        slots = 2 * len(distances) + 1  # before, at, between, at, …, beyond the distances
        slot = genuine_fold * len(distances) + place
        won = torch.bincount(slot, minlength=folds * len(distances)).view(folds, -1)
        entered = torch.zeros(folds, slots, dtype=torch.int64, device=genuine.device)
        grid = ThresholdGrid(upper)
        occupied, before = grid.held(distances)
        cells = torch.zeros(folds * grid.cells, dtype=torch.int64, device=genuine.device)
        for values, fold in impostors:
            cell = grid.cell(values)
            cells += torch.bincount(cell.add(fold, alpha=grid.cells), minlength=len(cells))
            close = occupied[cell].nonzero().flatten()
            values, fold = values[close], fold[close]
            after = torch.searchsorted(distances, values)
            at = distances[after.clamp(max=len(distances) - 1)] == values
            slot = fold * slots + 2 * after + at
            entered.view(-1).scatter_add_(0, slot, torch.ones_like(slot))
        cells, entered = together.sum(cells).view(folds, -1), together.sum(entered)
        entered.index_add_(1, 2 * before, cells * ~occupied)
        upto = entered.cumsum(1).cpu().numpy()
        none = np.zeros((folds, 1), dtype=np.int64)
        return cls(
            thresholds=np.concatenate([[-np.inf], distances.double().cpu().numpy()]),
            genuine=np.hstack([none, won.cumsum(1).cpu().numpy()]),
            impostor=np.hstack([none, upto[:, 1::2]]),
            nearer=np.concatenate([[0], upto[:, :-1:2].sum(0)]),
            genuine_total=won.sum(1).cpu().numpy(),
            impostor_total=upto[:, -1],
            grid=grid,
            cells=cells.cpu().numpy(),
        )

    def roc(self) -> Roc:
        """Both corners at each threshold: just before its pairs are accepted, and after."""
        genuine, impostor = self.genuine.sum(0), self.impostor.sum(0)
        just_below = np.nextafter(self.thresholds[1:], -np.inf)
        return Roc(
            far=np.append(_alternate(self.nearer[1:], impostor), self.impostor_total.sum())
            / self.impostor_total.sum(),
            tar=np.append(_alternate(genuine[:-1], genuine), genuine[-1]) / genuine[-1],
            thresholds=np.append(_alternate(just_below, self.thresholds), np.inf),
        )

    def tar_at(self, far: float) -> float:
        """True accept rate at the largest threshold whose FAR does not exceed the given one."""
        allowed = allowed_impostors(far, int(self.impostor_total.sum()))
        held = np.searchsorted(self.impostor.sum(0), allowed, side="right") - 1
        return float(self.genuine.sum(0)[held] / self.genuine_total.sum())

    def tars_at(self, fars: Sequence[float]) -> dict[float, float]:
        """TAR at each FAR; NaN, with a warning, where there are too few impostors to measure it.

        The warning names whoever called the caller's caller.
        """
        total = int(self.impostor_total.sum())
        found = {}
        for far in fars:
            found[far] = self.tar_at(far)
            if allowed_impostors(far, total) == 0:
                found[far] = float("nan")
                warnings.warn(
                    f"FAR {far:g} needs at least {np.ceil(1 / far):.0f} impostor pairs, there are "
                    f"{total}: its TAR is NaN",
                    stacklevel=4,
                )
        return found

    def held_out_tar(self, allowed: Counts) -> Curve:
        """TAR on each fold at the largest threshold that lets so many impostors of the others in.

        At a genuine distance of the fold itself this is exact too: between two of those met no
        further genuine pair is won.

        Args:
            allowed: how many of the others may get in, int64 ``[F, folds]``.

        Returns:
            ``[F, folds]``.
        """
        others = self.impostor.sum(0) - self.impostor
        won = [
            self.genuine[fold, np.searchsorted(others[fold], counts, side="right") - 1]
            for fold, counts in enumerate(allowed.T)
        ]
        return np.stack(won, axis=1) / self.genuine_total

    def fold_accuracies(self, *, balanced: bool) -> Curve:
        """Accuracy on each fold at the threshold that is best on the others, ``[folds]``.

        NaN where there are no others.
        """
        if len(self.genuine) == 1:
            return np.array([np.nan])
        all_genuine, all_impostor = self.genuine.sum(0), self.impostor.sum(0)
        genuine_sum, impostor_sum = self.genuine_total.sum(), self.impostor_total.sum()
        accuracies = []
        for genuine, impostor, of_genuine, of_impostor in zip(
            self.genuine, self.impostor, self.genuine_total, self.impostor_total, strict=True
        ):
            best = threshold_gain(
                all_genuine - genuine,
                all_impostor - impostor,
                genuine_sum - of_genuine,
                impostor_sum - of_impostor,
                balanced=balanced,
            ).argmax()
            won, entered = genuine[best], impostor[best]
            if balanced:
                accuracies.append((won / of_genuine + 1 - entered / of_impostor) / 2)
            else:
                right = won + of_impostor - entered
                accuracies.append(right / (of_genuine + of_impostor))
        return np.array(accuracies)

    def best_threshold(self, *, balanced: bool) -> float:
        """The smallest threshold of best accuracy on all pairs.

        Being the smallest, it is the distance of a pair: between two of them nothing is won.
        """
        gain = threshold_gain(
            self.genuine.sum(0),
            self.impostor.sum(0),
            self.genuine_total.sum(),
            self.impostor_total.sum(),
            balanced=balanced,
        )
        return float(self.thresholds[gain.argmax()])


class ThresholdGrid:
    """Even cells over the distances: where one holds no threshold, a value needs no bisection.

    Args:
        upper: about the largest distance; the last cell is of everything beyond.

    Example:
        >>> grid = ThresholdGrid(1.0)
        >>> grid.held(torch.tensor([0.0, 1.0]))[0].sum()
        tensor(2)
    """

    def __init__(self, upper: float) -> None:
        self._scale = (_CELLS - 1) / upper if upper > _TINY else 1.0
        self.cells = _CELLS + 1

    def cell(self, values: Tensor) -> Tensor:
        """The cell of each value, int32; it never falls where the value rises."""
        return (values * self._scale).clamp_(max=_CELLS).int()

    def held(self, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        """Whether each cell holds a threshold, and how many the cells before it hold."""
        held = torch.bincount(self.cell(thresholds), minlength=self.cells)
        return held > 0, held.cumsum(0) - held

    def between(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Whether each cell may hold a value that lies between any of these bounds."""
        begun = torch.bincount(self.cell(lower), minlength=self.cells).cumsum(0)
        ended = torch.bincount(self.cell(upper), minlength=self.cells)
        return begun > ended.cumsum(0) - ended


def allowed_impostors(far: float, total: int) -> int:
    """The most impostors whose share of so many does not exceed a FAR.

    The product alone may fall below the whole number that is meant: 0.29 × 100 < 29.

    Example:
        >>> allowed_impostors(0.29, 100), allowed_impostors(0.289, 100)
        (29, 28)
    """
    count = int(far * total) + 1
    while count and (count > total or count / total > far):
        count -= 1
    return count


def area_under(roc: Roc) -> float:
    """Area under the curve: the chance that a genuine pair is nearer, ties counting half.

    Example:
        >>> x = np.array([0.0, 0.0, 0.5, 1.0])
        >>> area_under(Roc(far=x, tar=np.array([0.0, 0.5, 0.5, 1.0]), thresholds=x))
        0.625
    """
    return float((np.diff(roc.far) * (roc.tar[1:] + roc.tar[:-1])).sum() / 2)


def equal_error_rate(roc: Roc) -> float:
    """Where FAR equals 1 − TAR, on the straight line between the two corners around it.

    Example:
        >>> x = np.array([0.0, 0.2, 1.0])
        >>> round(equal_error_rate(Roc(far=x, tar=np.array([0.0, 0.8, 1.0]), thresholds=x)), 6)
        0.2
    """
    gap = roc.far - (1 - roc.tar)
    after = int((gap >= 0).argmax())
    weight = gap[after] / (gap[after] - gap[after - 1])
    return float(roc.far[after] - weight * (roc.far[after] - roc.far[after - 1]))


def _alternate(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> Curve:
    """``second`` with ``first``, shorter by one, between its entries."""
    both = np.empty(len(first) + len(second))
    both[::2], both[1::2] = second, first
    return both
