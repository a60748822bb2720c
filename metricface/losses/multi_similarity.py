"""Multi-similarity loss."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Cosine, Distance
from metricface.given import above_zero, as_finite
from metricface.losses.anchor_loss import AnchorLoss, log_sum_exp
from metricface.losses.comparing import Compared
from metricface.types import Reduction


class MultiSimilarityLoss(AnchorLoss):
    """Soft maxima over positives and over negatives, each against a threshold.

    ``1/α log(1 + Σ_p exp(−α(s_p − λ))) + 1/β log(1 + Σ_n exp(β(s_n − λ)))`` for every anchor, s the
    cosine. The paper's method mines with :class:`~metricface.miners.MultiSimilarityMiner` first.

    Args:
        alpha: α, weight of positives, above 0.
        beta: β, weight of negatives, above 0.
        base: λ, the threshold; 0.5 in the official code, 1 in the paper.
        distance: 1 − s; the cosine's by default.
        reduction: of the anchors' terms.
        miner: picks pairs where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a setting out of range, an unknown reduction.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> MultiSimilarityLoss(base=1.0)(x, [0, 0])  # log(1 + e⁰) / 2
        tensor(0.3466)

    Reference: Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric
    Learning", CVPR 2019, eq. 15.
    """

    usual_distance = Cosine

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        *,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.alpha, self.beta = above_zero("alpha", alpha), above_zero("beta", beta)
        self.base = as_finite("base", base)

    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """The terms ``[b]``; every anchor has one."""
        too_far = pairs.genuine - (1 - self.base)
        too_near = (1 - self.base) - pairs.impostor
        pull = log_sum_exp(self.alpha * too_far, pairs.near, pairs.anchors)
        push = log_sum_exp(self.beta * too_near, pairs.far, pairs.anchors)
        terms = F.softplus(pull) / self.alpha + F.softplus(push) / self.beta
        return terms, terms >= 0
