"""The pairs a model is most wrong about, over a whole labelled set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distributed.together import Together
from metricface.evaluation.given import DISTANCE
from metricface.evaluation.labelled_pairs import LabelledPairs, PairTile
from metricface.given import as_count
from metricface.types import Embeddings, Labels


@dataclass(frozen=True, eq=False)
class HardestPairs:
    """The most alike impostors and the least alike genuine pairs, hardest first."""

    impostors: npt.NDArray[np.int64]
    """Rows of the nearest pairs of two identities, ``[n, 2]``."""
    impostor_distances: npt.NDArray[np.float64]
    """Their distances, ascending, ``[n]``."""
    genuine: npt.NDArray[np.int64]
    """Rows of the farthest pairs of one identity, ``[m, 2]``."""
    genuine_distances: npt.NDArray[np.float64]
    """Their distances, descending, ``[m]``."""


def hardest_pairs(
    embeddings: Embeddings,
    labels: Labels,
    *,
    count: int = 8,
    distance: Distance = DISTANCE,
    block: int = 1024,
    across_ranks: bool = False,
) -> HardestPairs:
    """Find the impostor pairs of least and the genuine pairs of greatest distance.

    Looking at them is the quickest way to find wrong labels; to train on, see
    :func:`metricface.offline.hard_pairs`, which gives some to every sample. All N(N − 1)/2 pairs
    are met tile by tile; memory is O(N·D + block²).

    Args:
        embeddings: floating ``[N, D]``.
        labels: one identity per row, integers or strings.
        count: how many of each, at least 1; fewer where there are fewer.
        distance: what is measured.
        block: side of the tiles.
        across_ranks: all ranks of the process group call this with the same arguments, each
            meets its share of the tiles, and all get the same answer.

    Returns:
        Row numbers, the smaller first, and distances.

    Raises:
        ValueError: count or block out of range, bad embeddings or label count, no pair of one
            identity or none of two. Across ranks whatever is wrong on one of them, on all.
        TypeError: embeddings that are not floating.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> hardest_pairs(x, ["anna", "anna", "ben"], count=1).impostors
        array([[1, 2]])
    """
    with Together(across_ranks) as together:
        count = as_count("count", count)
        together.agree({"count": count})
        pairs = LabelledPairs(embeddings, labels, distance=distance, block=block, together=together)
        places, values = _extreme(pairs.impostors(), count, 1)
        impostors, near = _first(together.cat(places), together.cat(values), count, block)
    genuine, far = _extreme(pairs.genuine_tiles(), count, -1)
    return HardestPairs(
        impostors=np.sort(pairs.order[impostors].numpy(), axis=1),
        impostor_distances=near.numpy(),
        genuine=np.sort(pairs.order[genuine].numpy(), axis=1),
        genuine_distances=far.numpy(),
    )


def _first(places: Tensor, values: Tensor, count: int, block: int) -> tuple[Tensor, Tensor]:
    """The least of all ranks; of equal ones those of the tile that one process meets first."""
    row, column = (places // block).T
    order = torch.from_numpy(np.lexsort((column, row, values))[:count])
    return places[order], values[order]


def _extreme(tiles: Iterable[PairTile], count: int, sign: int) -> tuple[Tensor, Tensor]:
    """Places ``[n, 2]`` in the order of the tiles, and distances, of the least (or greatest)."""
    places = torch.empty(0, 2, dtype=torch.int64)
    values = torch.empty(0, dtype=torch.float64)
    for tile in tiles:
        keyed = tile.distances * sign
        if tile.mask is not None:
            keyed = keyed.where(tile.mask, torch.inf)
        if len(values) == count and not bool(keyed.min() < values[-1]):
            continue
        least, flat = keyed.flatten().topk(min(count, keyed.numel()), largest=False)
        least, flat = least.double().cpu(), flat.cpu()
        flat, least = flat[least < torch.inf], least[least < torch.inf]
        width = keyed.shape[1]
        here = torch.stack(
            [flat // width + tile.rows.start, flat % width + tile.columns.start], dim=1
        )
        values, order = torch.cat([values, least]).sort(stable=True)
        places = torch.cat([places, here])[order[:count]]
        values = values[:count]
    return places, values * sign
