"""Batch-hard mining."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.identities import MatchBlock, places
from metricface.miners.compilation import dense
from metricface.miners.kernels import extreme_positive, row_minimum
from metricface.miners.miner import Miner
from metricface.types import Triplets


class BatchHardMiner(Miner[Triplets]):
    """For each anchor its farthest positive and its nearest negative.

    ``p* = argmax_p D(a, p)``, ``n* = argmin_n D(a, n)``. Anchors without a positive or without
    a negative give no triplet. Of equally far positives the first reference is taken, of equally
    near negatives any one, always the same.

    Args:
        distance: SquaredEuclidean of unit vectors by default; any rising function of it picks
            the same triplets.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.
        compiled: run the dense inner steps under torch.compile: the same answer, sooner; the
            first call takes seconds.

    Example:
        >>> from metricface.distances import Euclidean
        >>> embeddings = torch.tensor([[0.0], [1.0], [3.0], [2.5]])
        >>> BatchHardMiner(distance=Euclidean(normalize=False))(embeddings, [0, 0, 0, 1])
        Triplets(anchor=tensor([0, 1, 2]), positive=tensor([2, 2, 0]), negative=tensor([3, 3, 3]))

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, eq. 5.
    """

    kind = Triplets

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """One triplet for each anchor that has both kinds."""
        place, _ = extreme_positive(distances, block, "farthest")
        nearest, negative = dense(row_minimum, compiled=self.compiled)(self.hide_(distances, block))
        anchor = places((place >= 0) & (nearest < torch.inf))
        return Triplets(anchor, block.positive[place[anchor]], negative[anchor])
