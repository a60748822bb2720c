"""The exact k nearest (or farthest) of many, tile by tile, at about the cost of the product."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import torch
from torch import Tensor

from metricface.offline.rows import PreparedRows

#: Overwrites, with infinity, what must not be found in a tile of anchors × references; the
#: tensors are the squared distances (negated where farthest are sought), and the row numbers of
#: the anchors and of the references.
Hide: TypeAlias = "Callable[[Tensor, Tensor, Tensor], None]"

ANCHORS, REFERENCES = 1024, 4096  # a tile of 16 MiB: half of it is compared while in the cache
_FOLD = 32  # columns folded into one before the smallest are sought


def search(
    rows: PreparedRows,
    anchors: Tensor,
    references: Iterable[Tensor],
    k: int,
    hide: Hide,
    *,
    farthest: bool = False,
) -> Tensor:
    """The k nearest of some anchors among references that come in parts.

    With a column of norms beside each side, one matrix product gives the squared distance::

        [−2q, 1, ‖q‖²] · [r, ‖r‖², 1] = ‖q‖² − 2 q·r + ‖r‖²

    Nothing is added to the tile afterwards, so that it is written once and read once. Its
    columns are folded by a minimum; the k nearest are all in the k folds of least minimum.

    Args:
        rows: all samples.
        anchors: row numbers int64 ``[A]``, any number of them.
        references: row numbers int64, each part at most :data:`REFERENCES` long.
        k: how many.
        hide: says what is not looked for.
        farthest: the k farthest instead.

    Returns:
        Row numbers int64 ``[A, k]``, nearest (farthest) first up to rounding, then -1.

    Example:
        >>> import numpy as np
        >>> from metricface.distances import SquaredEuclidean
        >>> x = np.array([[0.0], [1.0], [5.0]])
        >>> rows = PreparedRows(x, SquaredEuclidean(normalize=False))
        >>> everyone = torch.arange(3)
        >>> search(rows, everyone, iter([everyone]), 2, lambda tile, a, r: None)
        tensor([[0, 1],
                [1, 0],
                [2, 1]])
    """
    query = rows[anchors]
    norm = query.square().sum(dim=1, keepdim=True)
    one = torch.ones_like(norm)
    sign = -1 if farthest else 1
    left = torch.cat([-2 * query, one, norm], dim=1) * sign
    best = [_Best(part, k, like=query) for part in torch.split(anchors.to(rows.device), ANCHORS)]
    memory = left.new_empty(0)  # of one tile, for all: fresh pages each time cost a seventh
    for numbers in references:
        reference = rows[numbers]
        norm = reference.square().sum(dim=1, keepdim=True)
        right = torch.cat([reference, norm, torch.ones_like(norm)], dim=1).T
        columns = numbers.to(rows.device)
        for part, each in zip(torch.split(left, ANCHORS), best, strict=True):
            size = len(part) * len(columns)
            if len(memory) < size:
                memory = part.new_empty(size)
            tile = torch.mm(part, right, out=memory[:size].view(len(part), -1))
            hide(tile, each.anchors, columns)
            each.see(tile, columns)
    return torch.cat([each.numbers() for each in best])


class _Best:
    """The k smallest entries met so far in each row, in no order, and whose they are."""

    def __init__(self, anchors: Tensor, k: int, like: Tensor) -> None:
        self.anchors = anchors
        self._values = like.new_full((len(anchors), k), torch.inf)
        self._numbers = torch.full_like(self._values, -1, dtype=torch.int64)

    def see(self, tile: Tensor, columns: Tensor) -> None:
        """Take what is smaller from another tile ``[b, w]`` with the numbers of its columns."""
        k = self._values.shape[1]
        places = _candidates(tile, k, self._values.amax(dim=1, keepdim=True))
        values = torch.cat([self._values, tile.gather(1, places)], dim=1)
        self._values, kept = values.topk(k, dim=1, largest=False, sorted=False)
        old = self._numbers.gather(1, kept.clamp(max=k - 1))
        if places.shape[1]:
            new = columns[places.gather(1, (kept - k).clamp_(min=0))]
            old = new.where(kept >= k, old)
        self._numbers = old

    def numbers(self) -> Tensor:
        """The numbers, smallest entry first; -1 where only hidden entries were met."""
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
    # After a few tiles hardly a fold is below what is known, and few are looked into.
    below = min(k, int((least < bound).sum(dim=1).max()))
    fold = least.topk(below, dim=1, largest=False, sorted=False).indices
    within = torch.arange(_FOLD, device=tile.device) * folds
    inside = (fold[:, :, None] + within).flatten(1)
    rest = torch.arange(folds * _FOLD, width, device=tile.device).expand(rows, -1)
    return torch.cat([inside, rest], dim=1)
