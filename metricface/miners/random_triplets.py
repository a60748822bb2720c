"""Random triplets, the baseline of every comparison."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.given import as_count
from metricface.identities import MatchBlock, places
from metricface.miners.draws import Draws, random_below
from metricface.miners.miner import Miner
from metricface.transfers import sent
from metricface.types import Triplets


class RandomMiner(Miner[Triplets]):
    """For each anchor ``per_anchor`` triplets, positive and negative drawn at random.

    Each is drawn uniformly, with replacement, from all positives and all negatives of the
    anchor; anchors without one of them give no triplet. Distances are not looked at.

    Args:
        per_anchor: triplets for each anchor, at least 1.
        seed: start of the random sequence; its place in it is part of ``state_dict``.
        block_bytes: about how much extra memory mining may take, in bytes.

    Raises:
        ValueError: per_anchor below 1.

    Example:
        >>> RandomMiner(per_anchor=2, seed=0)(torch.rand(3, 8), ["anna", "anna", "ben"]).anchor
        tensor([0, 0, 1, 1])

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, section 4 (the baseline).
    """

    kind = Triplets
    needs_distances = False

    def __init__(
        self, per_anchor: int = 1, *, seed: int = 0, block_bytes: int = 256 * 2**20
    ) -> None:
        super().__init__(draws=Draws(seed), block_bytes=block_bytes)
        self.per_anchor = as_count("per_anchor", per_anchor)

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """Draw, anchor by anchor."""
        positives, negatives = block.positive_count(), block.negative_count()
        own, others = block.counts
        usable = sent(places((own > 0) & (others > 0)), positives.device)
        anchor = usable.repeat_interleave(self.per_anchor)
        slot = torch.arange(len(anchor), device=anchor.device) % self.per_anchor
        first = torch.cumsum(positives, 0) - positives
        sample = self.numbers(anchor, block)
        place = random_below(self._key, sample, 2 * slot, positives[anchor])
        rank = random_below(self._key, sample, 2 * slot + 1, negatives[anchor])
        positive = block.positive[first[anchor] + place]
        return Triplets(anchor, positive, block.nth_negative(anchor, rank))
