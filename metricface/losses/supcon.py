"""Supervised contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.distances import Cosine, Distance
from metricface.given import above_zero
from metricface.losses.anchor_loss import AnchorLoss, log_sum_exp, pair_count
from metricface.losses.comparing import Compared
from metricface.types import Reduction


class SupConLoss(AnchorLoss):
    """Softmax over all other samples, in which every positive is to have its share.

    ``−1/|P| Σ_{p∈P} log( exp(s_p/τ) / Σ_{k∈P∪N} exp(s_k/τ) )`` for an anchor with positives P and
    negatives N, s the cosine: the outer form L_out, of which the paper found it the better one.
    Anchors without a positive have no term.

    Args:
        temperature: τ, above 0; 0.1 in the paper.
        distance: 1 − s; the cosine's by default.
        reduction: of the anchors' terms.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a temperature out of range, an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> SupConLoss(temperature=1.0)(x, [0, 0, 1])  # log(1 + e⁻¹)
        tensor(0.3133)

    Reference: Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, eq. 2.
    """

    usual_distance = Cosine

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.temperature = above_zero("temperature", temperature)

    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """What all samples weigh, less the mean of the positives, ``[b]``."""
        near, count = pairs.near, pairs.anchors
        positive, negative = -pairs.genuine / self.temperature, -pairs.impostor / self.temperature
        every = torch.logaddexp(
            log_sum_exp(positive, near, count), log_sum_exp(negative, pairs.far, count)
        )
        positives = pair_count(near, count)
        mean = torch.zeros_like(every).index_add(0, near, positive) / positives.clamp_min(1)
        return every - mean, positives > 0
