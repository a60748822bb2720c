"""The pairs a model is most wrong about, over a whole labelled set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

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
    per_pair: int | None = None,
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
        per_pair: at most so many impostors of the same two identities, and genuine pairs of the
            same one: 1 keeps two look-alikes, or one wrong label, from filling the list. None
            sets no limit.
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
        per_pair = None if per_pair is None else as_count("per_pair", per_pair)
        together.agree({"count": count, "per_pair": per_pair or 0})
        pairs = LabelledPairs(embeddings, labels, distance=distance, block=block, together=together)
        limit = _Limit(count, per_pair, pairs.identities)
        places, values = _extreme(pairs.impostors(), limit, 1)
        impostors, near = _first(together.cat(places), together.cat(values), limit, block)
    genuine, far = _extreme(pairs.genuine_tiles(), limit, -1)
    return HardestPairs(
        impostors=np.sort(pairs.order[impostors].numpy(), axis=1),
        impostor_distances=near.numpy(),
        genuine=np.sort(pairs.order[genuine].numpy(), axis=1),
        genuine_distances=far.numpy(),
    )


class _Limit(NamedTuple):
    """How many pairs are wanted, in all and of the same two identities."""

    pairs: int
    per_pair: int | None
    identities: Tensor

    def kept(self, places: Tensor) -> Tensor:
        """Which of some pairs ``[n, 2]``, the hardest first, stay: their numbers, ascending."""
        if self.per_pair is None:
            return torch.arange(min(self.pairs, len(places)))
        seen: Counter[tuple[int, int]] = Counter()
        chosen: list[int] = []
        for number, whose in enumerate(map(tuple, self.identities[places].tolist())):
            if len(chosen) == self.pairs:
                break
            seen[whose] += 1
            if seen[whose] <= self.per_pair:
                chosen.append(number)
        return torch.tensor(chosen, dtype=torch.int64)


def _first(places: Tensor, values: Tensor, limit: _Limit, block: int) -> tuple[Tensor, Tensor]:
    """The least of all ranks; of equal ones those of the tile that one process meets first."""
    row, column = (places // block).T
    order = torch.from_numpy(np.lexsort((column, row, values)))
    order = order[limit.kept(places[order])]
    return places[order], values[order]


def _extreme(tiles: Iterable[PairTile], limit: _Limit, sign: int) -> tuple[Tensor, Tensor]:
    """Places ``[n, 2]`` in the order of the tiles, and distances, of the least (or greatest)."""
    places = torch.empty(0, 2, dtype=torch.int64)
    values = torch.empty(0, dtype=torch.float64)
    for tile in tiles:
        keyed = tile.distances * sign
        if tile.mask is not None:
            keyed = keyed.where(tile.mask, torch.inf)
        bound = values[-1].item() if len(values) == limit.pairs else torch.inf
        if bound < torch.inf and not bool(keyed.min() < bound):
            continue
        here, least = _least(keyed, tile, limit, bound)
        values, order = torch.cat([values, least]).sort(stable=True)
        places = torch.cat([places, here])[order]
        kept = limit.kept(places)
        places, values = places[kept], values[kept]
    return places, values * sign


def _least(keyed: Tensor, tile: PairTile, limit: _Limit, bound: float) -> tuple[Tensor, Tensor]:
    """The pairs of one tile that may stay: as many as wanted, all of them below a bound.

    What one tile leaves out for the limit of a pair of identities, all tiles together would: it
    has as many nearer ones. So tile by tile gives the pairs that all at once would give.
    """
    wide, wanted = keyed.shape[1], limit.pairs
    while True:
        least, flat = keyed.flatten().topk(min(wanted, keyed.numel()), largest=False)
        least, flat = least.double().cpu(), flat.cpu()
        below = least < bound
        least, flat = least[below], flat[below]
        here = torch.stack(
            [flat // wide + tile.rows.start, flat % wide + tile.columns.start], dim=1
        )
        kept = limit.kept(here)
        enough = len(kept) == limit.pairs or not below.all() or wanted >= keyed.numel()
        if limit.per_pair is None or enough:
            return here[kept], least[kept]
        wanted *= 4  # most were of the same identities
