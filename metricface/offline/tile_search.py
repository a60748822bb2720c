"""The exact k nearest (or farthest) of many, at about the cost of the matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import Tensor

from metricface.distances.rows import Rows
from metricface.distances.tiles import Nearest, squared_tiles

#: Overwrites, with infinity, what must not be found in a tile of anchors × references; the
#: tensors are the squared distances (negated where farthest are sought), and the row numbers of
#: the anchors and of the references.
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
        >>> import torch
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
