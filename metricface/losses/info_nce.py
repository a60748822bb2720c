"""InfoNCE, also known as NT-Xent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Cosine, Distance
from metricface.given import above_zero
from metricface.losses.anchor_loss import log_sum_exp
from metricface.losses.comparing import Compared, ComparingLoss
from metricface.losses.reduction import Sum, summed
from metricface.types import Labels, Reduction


class InfoNCELoss(ComparingLoss):
    """Each positive against all negatives of its anchor, by softmax.

    ``−log( exp(s_p/τ) / (exp(s_p/τ) + Σ_n exp(s_n/τ)) )`` for each positive pair, s the cosine:
    the NT-Xent loss of SimCLR for two views of each image, CLIP's with texts as references and
    ``symmetric=True``. Other positives of the anchor are not in the denominator.

    Args:
        temperature: τ, or its first value, above 0; 0.07 in CLIP, 0.1 to 0.5 in SimCLR.
        learn_temperature: train ``log_temperature``, as CLIP does, from this value on.
        symmetric: compare the references with the batch as well, and halve; needs references.
        distance: 1 − s; the cosine's by default.
        reduction: of the terms of positive pairs; with ``symmetric`` of each direction.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a temperature out of range, an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> InfoNCELoss(temperature=1.0)(x, [0, 0, 1])  # log(1 + e⁻¹)
        tensor(0.3133)

    Reference: van den Oord et al., "Representation Learning with Contrastive Predictive Coding",
    2018, eq. 4; Chen et al., "SimCLR", ICML 2020, eq. 1; Radford et al., "CLIP", ICML 2021.
    """

    once = True

    usual_distance = Cosine

    def __init__(
        self,
        temperature: float = 0.07,
        *,
        learn_temperature: bool = False,
        symmetric: bool = False,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.temperature = above_zero("temperature", temperature)
        self.log_temperature: nn.Parameter | None = None
        if learn_temperature:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(self.temperature)))
        self.symmetric = symmetric
        self.by_anchor = not symmetric  # the references are anchors as well

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The temperature as an optimizer's group, with no weight decay; none if it is fixed."""
        own = [] if self.log_temperature is None else [self.log_temperature]
        return [{"params": [each], "lr": lr, "weight_decay": 0.0} for each in own]

    def sums(
        self,
        embeddings: Tensor,
        labels: Labels | None,
        indices: Sequence[Tensor] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> list[Sum]:
        """The terms, summed, in one direction or in both; see :meth:`EmbeddingLoss.sums`."""
        there = super().sums(
            embeddings, labels, indices, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids
        )
        if not self.symmetric:
            return there
        if ref_emb is None or labels is None or indices is not None:
            raise ValueError(
                "symmetric=True compares references with the batch as well: it needs ref_emb and "
                "labels, and takes no indices"
            )
        turned = (ref_labels, labels) if ref_labels is not None else (_transposed(labels), None)
        back = super().sums(
            ref_emb, turned[0], None, embeddings, turned[1], ids=ref_ids, ref_ids=ids
        )
        return [Sum(each.total / 2, each.terms) for each in (*there, *back)]

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """A term for each positive pair."""
        positive, negative = self._scaled(pairs.genuine), self._scaled(pairs.impostor)
        rest = log_sum_exp(negative, pairs.far, pairs.anchors)
        return [summed(F.softplus(rest[pairs.near] - positive), self.reduction)]

    def _scaled(self, distance: Tensor) -> Tensor:
        if self.log_temperature is None:
            return -distance / self.temperature
        return -distance * torch.exp(-self.log_temperature.to(distance.dtype))


def _transposed(matches: Labels) -> Labels:
    """Who matches whom, seen from the references."""
    return torch.as_tensor(matches).T
