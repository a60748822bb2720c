"""Multi-similarity mining."""

from __future__ import annotations

from torch import Tensor

from metricface.distances import Cosine, Distance
from metricface.given import as_count_or_none, zero_or_above
from metricface.identities import MatchBlock, places
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.kernels import extreme_positive
from metricface.miners.miner import Miner
from metricface.transfers import Fetched
from metricface.types import Pairs


class MultiSimilarityMiner(Miner[Pairs]):
    """Pairs that overlap: negatives nearer than the farthest positive, and the other way round.

    With distances in place of similarities, an anchor keeps

    - the negatives with ``D(a,n) < max_p D(a,p) + epsilon``,
    - the positives with ``D(a,p) > min_n D(a,n) − epsilon``.

    Anchors without a positive or without a negative give no pairs.

    Args:
        epsilon: slack, in the distance's unit, 0 or above.
        per_anchor: at most this many negatives of each anchor, the nearest; None keeps all.
        distance: Cosine by default, as in the paper.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.

    Raises:
        ValueError: a negative epsilon, per_anchor below 1.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.5], [-1.0, 0.0]])
        >>> MultiSimilarityMiner()(embeddings, [0, 0, 1, 2])
        Pairs(anchor_pos=tensor([0, 1]), positive=tensor([1, 0]), anchor_neg=tensor([0, 1]), \
negative=tensor([2, 2]))

    Reference: Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric
    Learning", CVPR 2019, eq. 8 and 9.
    """

    kind = Pairs
    copies = 4

    def __init__(
        self,
        epsilon: float = 0.1,
        *,
        per_anchor: int | None = None,
        distance: Distance | None = None,
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
    ) -> None:
        super().__init__(
            distance=Cosine() if distance is None else distance,
            guard=guard,
            block_bytes=block_bytes,
        )
        self.epsilon = zero_or_above("epsilon", epsilon)
        self.per_anchor = as_count_or_none("per_anchor", per_anchor)

    def mine(self, distances: Tensor, block: MatchBlock) -> Pairs:
        """Both kinds of pair of these anchors."""
        to_positive = distances[block.anchor, block.positive]
        _, farthest = extreme_positive(distances, block, "farthest")
        nearest = self.hide_(distances, block).amin(1)
        overlapping = to_positive > nearest[block.anchor] - self.epsilon
        positives = Fetched(overlapping.sum())  # it has arrived when the negatives are known
        within = (farthest + self.epsilon)[:, None]
        if self.per_anchor is None or self.per_anchor >= distances.shape[1]:
            anchor, negative = (distances < within).nonzero(as_tuple=True)
        else:
            values, columns = distances.topk(self.per_anchor, dim=1, largest=False)
            anchor, place = (values < within).nonzero(as_tuple=True)
            negative = columns[anchor, place]
        far = places(overlapping, int(positives.wait()))
        return Pairs(block.anchor[far], block.positive[far], anchor, negative)
