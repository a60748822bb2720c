"""The loss over all triplets, under its name."""

from __future__ import annotations

from typing import Literal

from torch import nn

from metricface.distances import Distance
from metricface.losses.triplet import TripletLoss
from metricface.types import Reduction


class BatchAllTripletLoss(TripletLoss):
    """All PK(PK−K)(K−1) triplets of the batch: exact value and gradient, O(N²) memory.

    :class:`TripletLoss` as it is without a miner, under the name of the method and averaging over
    the active triplets, which Hermans et al. found better here.

    Args:
        margin: in the distance's unit, 0 or above; or ``"soft"``.
        distance: SquaredEuclidean of unit vectors by default.
        reduction: ``"nonzero"`` by default; ``"none"`` lists every triplet, which takes memory
            for each.
        miner: picks triplets where a call brings none, in place of all.

    Raises:
        ValueError: a negative or infinite margin, an unknown word for it, an unknown reduction.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> BatchAllTripletLoss(margin=0.2)(embeddings, [0, 0, 1])
        tensor(1.2000)

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, eq. 6.
    """

    def __init__(
        self,
        margin: float | Literal["soft"] = 0.2,
        distance: Distance | None = None,
        reduction: Reduction = "nonzero",
        *,
        miner: nn.Module | None = None,
    ) -> None:
        super().__init__(margin, distance, reduction, miner=miner)
