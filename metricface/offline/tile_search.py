"""The exact k nearest (or farthest): found by a matrix product, then measured one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.product import squared_differences
from metricface.distances.rows import Rows
from metricface.distances.tiles import Nearest, squared_tiles
from metricface.offline.neighbours import Neighbours

_PAIRS = 1 << 15  # measured together

#: Overwrites with infinity what must not be found in a tile: given are its squared distances (or
#: minus these, where farthest are sought), and the row numbers of its anchors and references.
Hide: TypeAlias = "Callable[[Tensor, Tensor, Tensor], None]"


def search(
    rows: Rows,
    anchors: Tensor,
    references: Iterable[Tensor],
    k: int,
    hide: Hide,
    *,
    farthest: bool = False,
) -> Tensor:
    """The k nearest of some anchors among references that come in parts.

    Args:
        rows: all samples.
        anchors: row numbers int64 ``[A]``, any number of them.
        references: row numbers int64, in parts.
        k: how many.
        hide: says what is not looked for.
        farthest: the k farthest instead.

    Returns:
        Row numbers int64 ``[A, k]``, nearest (farthest) first up to rounding, then -1.

    Example:
        >>> import numpy as np
        >>> from metricface.distances import SquaredEuclidean
        >>> x = np.array([[0.0], [1.0], [5.0]])
        >>> rows = Rows(x, SquaredEuclidean(normalize=False))
        >>> everyone = torch.arange(3)
        >>> search(rows, everyone, iter([everyone]), 2, lambda tile, a, r: None)
        tensor([[0, 1],
                [1, 0],
                [2, 1]])
    """
    query = rows[anchors]
    here = anchors.to(rows.device)
    nearest = Nearest(len(anchors), k, like=query)
    for tile in squared_tiles(query, rows, references, negated=farthest):
        hide(tile.squared, here[tile.rows], tile.columns)
        nearest.see(tile)
    return nearest.numbers()


def measured(
    rows: Rows,
    anchors: Tensor,
    found: Tensor,
    distance: Distance,
    *,
    farthest: bool = False,
) -> Neighbours:
    """Exact distances of what was found by a product, in their order; ties by row number.

    Args:
        rows: all samples.
        anchors: row numbers ``[A]``.
        found: row numbers ``[A, k]``, -1 where there is none.
        distance: what is measured.
        farthest: farthest first.

    Example:
        >>> from metricface.distances import Euclidean
        >>> rows = Rows(torch.tensor([[0.0], [1.0], [5.0]]), Euclidean(normalize=False))
        >>> found = torch.tensor([[2, 1]])
        >>> measured(rows, torch.tensor([0]), found, Euclidean(normalize=False)).distances
        array([[1., 5.]], dtype=float32)
    """
    k = found.shape[1]
    worst = -torch.inf if farthest else torch.inf
    # Filled, not gathered in a list: small tensors kept between large ones scatter the heap.
    distances = torch.empty(len(anchors), k, dtype=rows.dtype)
    indices = torch.empty(len(anchors), k, dtype=torch.int64)
    for some in torch.split(torch.arange(len(anchors)), max(1, _PAIRS // max(1, k))):
        mine = found[some].cpu().sort(dim=1).values
        x = rows[anchors[some]].repeat_interleave(k, dim=0)
        squared = squared_differences(x, rows[mine.flatten().clamp(min=0)])
        values = distance.from_squared(squared).view(-1, k).to("cpu", rows.dtype)
        values = values.where(mine >= 0, worst)
        distances[some], order = values.sort(dim=1, descending=farthest, stable=True)
        indices[some] = mine.gather(1, order)
    return Neighbours(distances.numpy(), indices.numpy())
