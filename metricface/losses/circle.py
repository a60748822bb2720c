"""Circle loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Cosine, Distance
from metricface.given import above_zero, as_share
from metricface.losses.anchor_loss import AnchorLoss, has_both, log_sum_exp
from metricface.losses.comparing import Compared
from metricface.types import Reduction


class CircleLoss(AnchorLoss):
    """Soft maxima over positives and negatives, each pair at its own pace.

    ``log(1 + Σ_n exp(γ α_n (s_n − m)) · Σ_p exp(−γ α_p (s_p − 1 + m)))`` for each anchor, s the
    cosine, with ``α_p = [1 + m − s_p]₊`` and ``α_n = [s_n + m]₊``, which carry no gradient: what is
    far from where it should be is pulled harder. Anchors without a positive or without a negative
    have no term.

    Args:
        margin: m, from 0 to 1; 0.4 in the paper for retrieval, 0.25 for faces and persons.
        scale: γ, above 0; 80 for retrieval, 256 for faces, 128 for persons.
        distance: 1 − s; the cosine's by default.
        reduction: of the anchors' terms.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a setting out of range, an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        >>> CircleLoss(margin=0.0, scale=1.0)(x, [0, 0, 1])  # log(1 + e¹ · e⁰)
        tensor(1.3133)

    Reference: Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization",
    CVPR 2020, eq. 4 to 8.
    """

    usual_distance = Cosine

    def __init__(
        self,
        margin: float = 0.4,
        scale: float = 80.0,
        *,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.margin, self.scale = as_share("margin", margin), above_zero("scale", scale)

    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """The terms ``[b]``, and which anchors have pairs of both kinds."""
        m = self.margin
        pull = torch.relu(pairs.genuine.detach() + m) * (pairs.genuine - m)
        push = torch.relu(1 + m - pairs.impostor.detach()) * (1 - m - pairs.impostor)
        near = log_sum_exp(self.scale * pull, pairs.near, pairs.anchors)
        far = log_sum_exp(pairs.present(self.scale * push), pairs.far, pairs.anchors)
        return F.softplus(near + far), has_both(pairs)
