"""Lifted structure loss, generalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.distances import Distance, Euclidean
from metricface.given import zero_or_above
from metricface.losses.anchor_loss import AnchorLoss, has_both, log_sum_exp
from metricface.losses.comparing import Compared
from metricface.types import Reduction


class LiftedStructureLoss(AnchorLoss):
    """A hinge between the soft farthest positive and the soft nearest negative.

    ``[log Σ_p exp D(a,p) + log Σ_n exp(m − D(a,n))]₊`` for each anchor with pairs of both kinds:
    the lifted embedding loss with all positives of an anchor, as Hermans et al. generalise it.

    Args:
        margin: m, in the distance's unit, 0 or above.
        distance: Euclidean of unit vectors by default.
        reduction: of the anchors' terms.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a margin out of range, an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        >>> LiftedStructureLoss(margin=1.0)(x, [0, 0, 1])  # 0 + 1
        tensor(1.)

    Reference: Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR
    2016; Hermans et al., "In Defense of the Triplet Loss", 2017, eq. 8.
    """

    usual_distance = Euclidean

    def __init__(
        self,
        margin: float = 1.0,
        *,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.margin = zero_or_above("margin", margin)

    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """The terms ``[b]``, and which anchors have pairs of both kinds."""
        near = log_sum_exp(pairs.genuine, pairs.near, pairs.anchors)
        far = log_sum_exp(self.margin - pairs.impostor, pairs.far, pairs.anchors)
        return torch.relu(near + far), has_both(pairs)
