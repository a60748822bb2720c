"""Triplet loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Distance
from metricface.given import zero_or_above
from metricface.identities import MatchBlock, Matches
from metricface.losses.all_triplets import all_triplets_sum
from metricface.losses.embedding_loss import EmbeddingLoss
from metricface.losses.reduction import Sum, summed
from metricface.types import Reduction, Triplets, as_triplets, ragged


class TripletLoss(EmbeddingLoss):
    """Asks every negative to be farther from the anchor than the positive.

    ===================  ==================================
    margin               term of a triplet
    ===================  ==================================
    a number m           ``[D(a,p) − D(a,n) + m]₊``
    ``"soft"``           ``log(1 + exp(D(a,p) − D(a,n)))``
    ===================  ==================================

    Without indices and without a miner all triplets of the batch are used, exactly and without
    being listed (see :func:`~metricface.losses.all_triplets.all_triplets_sum`); only ``swap``
    and ``reduction="none"`` list them, which takes memory for each.

    Which reduction matters: in Hermans et al. the non-zero mean helps when all triplets are
    used and hurts batch-hard mining at margins up to 0.5.

    Args:
        margin: in the distance's unit, 0 or above; or ``"soft"``.
        distance: SquaredEuclidean of unit vectors by default, as in FaceNet. Hermans et al. use
            ``Euclidean(normalize=False)``.
        reduction: ``"mean"`` over all triplets, ``"nonzero"`` over the active ones, ``"sum"``,
            or ``"none"``.
        swap: measure the negative from the positive where it is nearer to it than to the
            anchor: ``min(D(a,n), D(p,n))``. Both are references where others than the batch
            were given; pytorch-metric-learning's ``swap`` then takes row p of the *batch*, some
            other sample.
        miner: picks triplets where a call brings none.
        block_bytes: about how much extra memory all triplets may take, in bytes.

    Raises:
        ValueError: a negative or infinite margin, an unknown word for it, an unknown reduction.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> TripletLoss(margin=0.2)(embeddings, [0, 0, 1])  # (2 − 0 + 0.2 + 2 − 2 + 0.2) / 2
        tensor(1.2000)

    Reference: Schroff et al., "FaceNet", CVPR 2015, eq. 3; Hermans et al., "In Defense of the
    Triplet Loss", 2017; Balntas et al., "Learning local feature descriptors with triplets",
    BMVC 2016 (swap).
    """

    def __init__(
        self,
        margin: float | Literal["soft"] = 0.2,
        distance: Distance | None = None,
        reduction: Reduction = "mean",
        swap: bool = False,  # noqa: FBT001, FBT002  (the published signature)
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        if isinstance(margin, str):
            if margin != "soft":
                raise ValueError(f"margin must be a number or 'soft', got {margin!r}")
            self.margin: float | None = None
        else:
            self.margin = zero_or_above("margin", margin)
        self.swap = swap

    def on_indices(
        self,
        embeddings: Tensor,
        reference: Tensor,
        indices: Sequence[Tensor],
        beside: Tensor | None,
    ) -> list[Sum]:
        """Over mined triplets; pairs are joined on their anchor."""
        anchor, positive, negative = as_triplets(indices)
        to_positive = self.distance.gathered(embeddings, reference, anchor, positive)
        to_negative = self.distance.gathered(embeddings, reference, anchor, negative)
        if self.swap:
            between = self.distance.gathered(reference, reference, positive, negative)
            to_negative = torch.minimum(to_negative, between)
        return [summed(self.terms(to_positive - to_negative), self.reduction)]

    def on_everything(
        self, embeddings: Tensor, reference: Tensor, matches: Matches, beside: Tensor | None
    ) -> list[Sum]:
        """Over all triplets of the batch."""
        if self.swap or self.reduction == "none":
            return self.on_indices(embeddings, reference, every_triplet(matches.block()), beside)
        return super().on_everything(embeddings, reference, matches, beside)

    def on_block(
        self,
        genuine: Tensor,
        every: Tensor,
        block: MatchBlock,
        beside: Tensor | None,
    ) -> list[Sum]:
        """Over all triplets of some anchors."""
        return [all_triplets_sum(genuine, every, block, self.margin, self.reduction)]

    def terms(self, gap: Tensor) -> Tensor:
        """One term for each ``D(a,p) − D(a,n)``, ``[T]``."""
        return F.softplus(gap) if self.margin is None else torch.relu(gap + self.margin)


class BatchAllTripletLoss(TripletLoss):
    """All PK(PK−K)(K−1) triplets of the batch: exact value and gradient.

    :class:`TripletLoss` as it is without a miner, under the name of the method and averaging over
    the active triplets, which Hermans et al. found better here.

    Args:
        margin: in the distance's unit, 0 or above; or ``"soft"``.
        distance: SquaredEuclidean of unit vectors by default.
        reduction: ``"nonzero"`` by default; ``"none"`` lists every triplet, which takes memory
            for each.
        miner: picks triplets where a call brings none, in place of all.
        block_bytes: about how much extra memory all triplets may take, in bytes.

    Raises:
        ValueError: a negative or infinite margin, an unknown word for it, an unknown reduction.

    Example:
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
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(margin, distance, reduction, miner=miner, block_bytes=block_bytes)


def every_triplet(block: MatchBlock) -> Triplets:
    """All triplets of a block: each positive pair with each negative of its anchor.

    Args:
        block: who matches whom, for all anchors of the batch.

    Returns:
        ``T = Σ_a (positives of a)·(negatives of a)`` triplets.

    Example:
        >>> every_triplet(Matches([0, 0, 1, 2]).block()).negative
        tensor([2, 3, 2, 3])
    """
    positives, negatives = block.counts
    total = int((positives * negatives).sum())
    pair, rank = ragged(block.negative_count()[block.anchor], total)
    anchor = block.anchor[pair]
    return Triplets(anchor, block.positive[pair], block.nth_negative(anchor, rank))
