"""Contrastive loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from metricface.distances import Distance, Euclidean
from metricface.given import above_zero, zero_or_above
from metricface.losses.pair_loss import PairLoss
from metricface.types import Reduction


class ContrastiveLoss(PairLoss):
    """Pulls genuine pairs together and pushes impostor pairs apart up to a margin.

    With D the distance of a pair, its term is

    ==============  ===========================  =========================
    form            same identity                different identities
    ==============  ===========================  =========================
    ``"hadsell"``   ``½ D²``                     ``½ [margin − D]₊²``
    ``"linear"``    ``[D − positive_margin]₊``   ``[margin − D]₊``
    ==============  ===========================  =========================

    Positive and negative terms are reduced separately and added: a batch has few positives and
    very many negatives, which would make up nearly all of a common mean. Without indices all
    pairs are used, those of one image with itself excepted.

    Args:
        margin: distance up to which impostors are pushed, above 0. On unit vectors D is at
            most 2 and √2 on average between strangers.
        form: ``"hadsell"`` or ``"linear"``.
        positive_margin: distance down to which genuine pairs are pulled; linear form only.
        distance: Euclidean of unit vectors by default.
        reduction: of the positive and of the negative terms. ``"nonzero"`` (the default)
            averages over the active ones; ``"none"`` gives all terms, positives first.
        miner: picks pairs where a call brings none.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: margins out of range, an unknown form or reduction.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> ContrastiveLoss(margin=2.0, form="linear")(embeddings, [0, 0, 1])  # 2 − √2
        tensor(0.5858)

    Reference: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping",
    CVPR 2006, eq. 4.
    """

    usual_distance = Euclidean

    def __init__(
        self,
        margin: float = 1.0,
        *,
        form: Literal["hadsell", "linear"] = "hadsell",
        positive_margin: float = 0.0,
        distance: Distance | None = None,
        reduction: Reduction = "nonzero",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        if form not in ("hadsell", "linear"):
            raise ValueError(f"form must be 'hadsell' or 'linear', got {form!r}")
        self.margin = above_zero("margin", margin)
        self.form = form
        self.positive_margin = zero_or_above("positive_margin", positive_margin)
        if positive_margin and form == "hadsell":
            raise ValueError("positive_margin belongs to the linear form; Hadsell's has none")

    def positive_terms(self, distance: Tensor) -> Tensor:
        """Half the squared distance, or what it exceeds the positive margin by."""
        if self.form == "hadsell":
            return distance * distance / 2
        return torch.relu(distance - self.positive_margin)

    def negative_terms(self, distance: Tensor) -> Tensor:
        """What the distance falls short of the margin by, or half the square of that."""
        short = torch.relu(self.margin - distance)
        return short * short / 2 if self.form == "hadsell" else short
