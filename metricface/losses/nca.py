"""Neighbourhood components analysis."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Distance
from metricface.given import above_zero
from metricface.losses.anchor_loss import AnchorLoss, log_sum_exp, pair_count
from metricface.losses.comparing import Compared
from metricface.types import Reduction


class NCALoss(AnchorLoss):
    """That a neighbour drawn by its nearness is of one's own identity.

    ``−log( Σ_p exp(−σ D²) / Σ_{k∈P∪N} exp(−σ D²) )`` for each anchor that has a positive. Near
    positives suffice: the far ones weigh little, so an identity may lie in several groups.

    Args:
        scale: σ, above 0; 1 in the paper, where embeddings are not normalised. Between unit
            vectors, at D² of 4 at most, 10 and more tell neighbours apart.
        distance: SquaredEuclidean of unit vectors by default.
        reduction: of the anchors' terms.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a scale out of range, an unknown reduction.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        >>> NCALoss()(x, [0, 0, 1])  # log 2
        tensor(0.6931)

    Reference: Goldberger et al., "Neighbourhood Components Analysis", NIPS 2004, eq. 6 (the
    logarithm of each sample's probability).
    """

    def __init__(
        self,
        scale: float = 1.0,
        *,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.scale = above_zero("scale", scale)

    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """``log(1 + Σ_n exp(−σ D²) / Σ_p exp(−σ D²))``, and which anchors have positives."""
        near = log_sum_exp(-self.scale * pairs.genuine, pairs.near, pairs.anchors)
        far = log_sum_exp(-self.scale * pairs.impostor, pairs.far, pairs.anchors)
        return F.softplus(far - near), pair_count(pairs.near, pairs.anchors) > 0
