"""Easy-positive mining."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.identities import MatchBlock, places
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.kernels import extreme_positive, next_beyond
from metricface.miners.miner import Miner
from metricface.types import Triplets


class EasyPositiveMiner(Miner[Triplets]):
    """For each anchor its *nearest* positive, and a hard or semi-hard negative.

    An identity may keep several looks: an image is only asked to be near the one of its identity
    that it resembles most.

    Args:
        negative: ``"semi-hard"``: the nearest negative farther than that positive;
            ``"hardest"``: the nearest negative.
        distance: SquaredEuclidean of unit vectors by default; any rising function of it picks
            the same triplets.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.
        compiled: run the dense inner steps under torch.compile: the same answer, sooner; the
            first call takes seconds.

    Raises:
        ValueError: an unknown ``negative``.

    Example:
        >>> from metricface.distances import Euclidean
        >>> embeddings = torch.tensor([[0.0], [1.0], [3.0], [0.5], [2.25]])
        >>> EasyPositiveMiner(distance=Euclidean(normalize=False))(embeddings, [0, 0, 0, 1, 2])
        Triplets(anchor=tensor([0, 1, 2]), positive=tensor([1, 0, 1]), negative=tensor([4, 4, 3]))

    Reference: Xuan et al., "Improved Embeddings with Easy Positive Triplet Mining", WACV 2020,
    section 3 (EPSHN and EPHN).
    """

    kind = Triplets

    def __init__(
        self,
        negative: Literal["semi-hard", "hardest"] = "semi-hard",
        *,
        distance: Distance | None = None,
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
        compiled: bool = False,
    ) -> None:
        super().__init__(distance=distance, guard=guard, block_bytes=block_bytes, compiled=compiled)
        if negative not in ("semi-hard", "hardest"):
            raise ValueError(f"negative must be 'semi-hard' or 'hardest', got {negative!r}")
        self.negative = negative

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """At most one triplet for each anchor."""
        place, to_positive = extreme_positive(distances, block, "nearest")
        every = torch.arange(block.shape[0], device=distances.device)
        above = to_positive if self.negative == "semi-hard" else torch.full_like(to_positive, -1.0)
        nearest, negative = next_beyond(
            self.hide_(distances, block), every, above, compiled=self.compiled
        )
        anchor = places((place >= 0) & (nearest < torch.inf))
        return Triplets(anchor, block.positive[place[anchor]], negative[anchor])
