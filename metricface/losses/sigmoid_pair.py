"""SigLIP's loss on single pairs."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Cosine, Distance
from metricface.given import above_zero, as_finite
from metricface.losses.comparing import Compared
from metricface.losses.pair_loss import PairLoss
from metricface.losses.reduction import Sum
from metricface.types import Reduction


class SigmoidPairLoss(PairLoss):
    """Says of each pair, by a logistic function, whether it is one identity.

    ``log(1 + exp(−(t s + b)))`` for genuine pairs and ``log(1 + exp(t s + b))`` for impostors, s
    the cosine, with t and b trained. Unlike a softmax no term depends on the rest of the batch.

    Args:
        scale: t, or its first value, above 0; 10 in the paper.
        bias: b, or its first value: impostors are many, so the loss begins with their answer. −10
            in the paper, for some 32,768 of them for each genuine pair.
        learn: train ``log_scale`` and ``bias``.
        distance: 1 − s; the cosine's by default.
        reduction: ``"mean"`` divides the sum of all terms by the number of anchors, as the paper
            does; ``"nonzero"`` by the number of pairs, of which none has a term of 0.
        miner: picks pairs or triplets where a call brings none.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a scale out of range, an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> SigmoidPairLoss(1.0, 0.0)(x, [0, 0])  # log(1 + e⁻¹)
        tensor(0.3133, grad_fn=<SumBackward0>)

    Reference: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023, section 3.2.
    """

    usual_distance = Cosine

    def __init__(
        self,
        scale: float = 10.0,
        bias: float = -10.0,
        *,
        learn: bool = True,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        start = torch.tensor(math.log(above_zero("scale", scale)))
        self.log_scale = nn.Parameter(start, requires_grad=learn)
        self.bias = nn.Parameter(torch.tensor(as_finite("bias", bias)), requires_grad=learn)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Scale and bias as an optimizer's group, with no weight decay; none if they are fixed."""
        own = [each for each in (self.log_scale, self.bias) if each.requires_grad]
        return [{"params": own, "lr": lr, "weight_decay": 0.0}] if own else []

    def positive_terms(self, distance: Tensor) -> Tensor:
        """``log(1 + exp(−(t s + b)))`` of genuine pairs."""
        return F.softplus(-self._logit(distance))

    def negative_terms(self, distance: Tensor) -> Tensor:
        """``log(1 + exp(t s + b))`` of impostor pairs."""
        return F.softplus(self._logit(distance))

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """Both kinds of terms as one, divided by the number of anchors."""
        positive, negative = super().on_pairs(pairs, beside)
        if self.reduction == "none":
            return [positive, negative]
        terms = positive.terms + negative.terms
        if self.reduction == "mean":
            terms = torch.full_like(terms, pairs.anchors)
        return [Sum(positive.total + negative.total, terms)]

    def _logit(self, distance: Tensor) -> Tensor:
        scale = torch.exp(self.log_scale.to(distance.dtype))
        return scale * (1 - distance) + self.bias.to(distance.dtype)
