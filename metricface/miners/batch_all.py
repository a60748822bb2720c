"""Batch-all mining."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.given import as_count_or_none, as_number
from metricface.identities import MatchBlock
from metricface.miners.draws import Draws, random_unit
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.miner import Miner
from metricface.types import Triplets, ragged


class BatchAllMiner(Miner[Triplets]):
    """Every triplet that violates the margin: ``D(a,n) < D(a,p) + margin``.

    Their number grows with the cube of the batch. ``per_anchor`` keeps that many of each
    anchor's, evenly spread over them from a random start, so that each is kept with the same
    probability. For the loss over all triplets no miner is needed:
    :class:`~metricface.losses.BatchAllTripletLoss` computes it without listing them.

    Args:
        margin: in the distance's unit, 0 or above; ``float("inf")`` keeps all triplets.
        per_anchor: at most this many triplets of each anchor; None keeps all.
        distance: SquaredEuclidean of unit vectors by default.
        seed: start of the random sequence (``per_anchor``); its place in it is part of
            ``state_dict``.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.

    Raises:
        ValueError: a negative margin, per_anchor below 1.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
        >>> BatchAllMiner(margin=0.2)(embeddings, [0, 0, 1])
        Triplets(anchor=tensor([0, 1]), positive=tensor([1, 0]), negative=tensor([2, 2]))

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, eq. 6.
    """

    kind = Triplets
    copies = 4

    def __init__(
        self,
        margin: float = 0.2,
        *,
        per_anchor: int | None = None,
        distance: Distance | None = None,
        seed: int = 0,
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
    ) -> None:
        super().__init__(distance=distance, draws=Draws(seed), guard=guard, block_bytes=block_bytes)
        self.margin = as_number("margin", margin)
        if not self.margin >= 0:
            raise ValueError(f"margin must be 0 or above, got {margin}")
        self.per_anchor = as_count_or_none("per_anchor", per_anchor)

    def drawing(self) -> bool:
        """Only with ``per_anchor``: it draws where the selection starts."""
        return self.per_anchor is not None

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """All violators, or an even selection of each anchor's."""
        within = distances[block.anchor, block.positive] + self.margin
        # A finite threshold, or an infinite margin would take in what is not a negative.
        self.hide_(distances, block)
        within = within.clamp_max(torch.finfo(within.dtype).max)
        found = []
        for pairs in self._runs_of_anchors(block, distances.element_size()):
            anchor, positive = block.anchor[pairs], block.positive[pairs]
            pair, negative = (distances.index_select(0, anchor) < within[pairs, None]).nonzero(
                as_tuple=True
            )
            chosen = Triplets(anchor[pair], positive[pair], negative)
            if self.per_anchor is not None:
                chosen = self._thinned(chosen, block, self.per_anchor)
            found.append(chosen)
        return Triplets(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _runs_of_anchors(self, block: MatchBlock, item: int) -> list[slice]:
        """The positive pairs of a few whole anchors at a time, within half of the byte budget."""
        count = block.counts[0]
        # For each entry a copy and a comparison, and up to five int64 where it is a violator.
        anchor_bytes = 12 * item * block.shape[1] * int(count.max())
        step = max(1, self.block_bytes // max(1, 2 * anchor_bytes))
        end = torch.cumsum(count, 0)
        bounds = [0, *end[step - 1 :: step].tolist(), len(block.anchor)]
        return [slice(start, stop) for start, stop in pairwise(bounds)]

    def _thinned(self, triplets: Triplets, block: MatchBlock, most: int) -> Triplets:
        """At most ``most`` of each anchor's, systematically from a random start."""
        total = torch.zeros_like(block.positive_count())
        total.index_add_(0, triplets.anchor, torch.ones_like(triplets.anchor))
        kept = total.clamp_max(most)
        row, place = ragged(kept)
        sample = self.numbers(row, block)
        start = random_unit(self._key, sample, torch.zeros_like(row), torch.float64)
        within = ((place + start) * (total[row] / kept[row])).long().clamp_max(total[row] - 1)
        chosen = (torch.cumsum(total, 0) - total)[row] + within
        return Triplets(*(index[chosen] for index in triplets))
