"""Smooth average precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.distances import Cosine, Distance
from metricface.given import above_zero
from metricface.losses.anchor_loss import AnchorLoss, pair_count
from metricface.losses.comparing import Compared, nowhere
from metricface.types import Reduction


class SmoothAPLoss(AnchorLoss):
    """One minus the average precision of each anchor's ranking, by sigmoids in place of steps.

    ``1 − 1/|P| Σ_{p∈P} (1 + Σ_{q∈P∖p} σ_τ(q, p)) / (1 + Σ_{k∈P∪N∖p} σ_τ(k, p))`` where
    ``σ_τ(k, p) = sigmoid((s_k − s_p)/τ)`` says how far k is before p, s the cosine. Anchors
    without a positive have no term. The official code also ranks the anchor itself, first of all,
    as one of its own positives; here a sample is never its own.

    Args:
        temperature: τ, above 0; 0.01 in the paper.
        distance: 1 − s; the cosine's by default.
        reduction: of the anchors' terms.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: a temperature out of range, an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        >>> SmoothAPLoss()(x, [0, 0, 1])  # 1 − 1/(1 + ½)
        tensor(0.3333)

    Reference: Brown et al., "Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval",
    ECCV 2020, eq. 5.
    """

    positive_copies = 4

    usual_distance = Cosine

    def __init__(
        self,
        temperature: float = 0.01,
        *,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.temperature = above_zero("temperature", temperature)

    def anchor_terms(self, pairs: Compared) -> tuple[Tensor, Tensor]:
        """One minus the smoothed average precision ``[b]``, and which anchors have positives."""
        positive = _rows(pairs.genuine, pairs.near, pairs.anchors)
        negative = pairs.impostor
        if negative.ndim == 1:
            negative = _rows(negative, pairs.far, pairs.anchors)
        own, near = pairs.genuine[:, None], pairs.near
        # Each positive is half a place before itself.
        among = 0.5 + torch.sigmoid((own - positive[near]) / self.temperature).sum(1)
        before = torch.sigmoid((own - negative[near]) / self.temperature).sum(1)
        count = pair_count(near, pairs.anchors)
        share = among / (among + before) / count[near]
        precision = torch.zeros_like(positive[:, :1].sum(1)).index_add(0, near, share)
        return 1 - precision, count > 0


def _rows(distances: Tensor, anchors: Tensor, count: int) -> Tensor:
    """Listed distances in a row for each anchor, ``[b, W]``, then :func:`nowhere`."""
    number = pair_count(anchors, count)
    width = int(number.max()) if count else 0
    order = anchors.argsort(stable=True)
    place = torch.arange(len(anchors), device=anchors.device)
    place = place - (number.cumsum(0) - number)[anchors[order]]
    table = distances.new_full((count, width), nowhere(distances.dtype))
    return table.index_put((anchors[order], place), distances[order])
