"""Margin-based loss with a learned boundary."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from metricface.classifiers import class_numbers
from metricface.distances import Distance, Euclidean
from metricface.given import above_zero, as_count_or_none, zero_or_above
from metricface.losses.comparing import Compared
from metricface.losses.pair_loss import PairLoss
from metricface.losses.reduction import Sum
from metricface.types import Labels, Reduction


class MarginLoss(PairLoss):
    """Pairs on the right side of a boundary β, by a margin: ``[α + y (D − β)]₊``.

    y is +1 for one identity, −1 for two. Unlike the contrastive loss it asks of genuine pairs
    only to be near enough, and unlike the triplet loss it compares each distance with a boundary
    rather than with another distance. The paper's reduction, here ``"nonzero"``, is

    ``(Σ_pos + Σ_neg + ν Σ β) / number of active terms``,

    the last sum over the anchors of the positive pairs, as in the official code. Without indices
    all pairs are used, those of one image with itself excepted.

    β has gradients of its own scale: give it a learning rate of its own with
    :meth:`parameter_groups` (0.1 in the official code, beside 1e-3 for the network: unverified).

    Args:
        margin: α, 0 or above.
        beta: β at the start, above 0.
        num_classes: one β for each class, that of the anchor; labels are then class numbers,
            and needed with indices too. None for one β in all.
        learn_beta: train β; else it is a buffer.
        nu: ν, weight of the sum of β; presses the boundary down, and all distances with it. A
            boundary that is not learned has none.
        distance: Euclidean of unit vectors by default.
        reduction: ``"nonzero"`` is the paper's; ``"none"`` gives all terms, positives first and
            without ν.
        miner: picks pairs or triplets where a call brings none;
            :class:`~metricface.miners.DistanceWeightedMiner` in the paper.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: margin, beta, nu or num_classes out of range, an unknown reduction.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> MarginLoss(learn_beta=False)(embeddings, [0, 0])  # √2 − 1.2 + 0.2
        tensor(0.4142)

    Reference: Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, section 4.2.
    """

    beta: Tensor

    usual_distance = Euclidean

    def __init__(
        self,
        margin: float = 0.2,
        beta: float = 1.2,
        *,
        num_classes: int | None = None,
        learn_beta: bool = True,
        nu: float = 0.0,
        distance: Distance | None = None,
        reduction: Reduction = "nonzero",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(distance, reduction, miner, block_bytes)
        self.margin = zero_or_above("margin", margin)
        self.nu = zero_or_above("nu", nu)
        if nu and not learn_beta:
            raise ValueError(
                f"nu presses a learned beta down, got nu={nu} with learn_beta=False, where it "
                "would only add a constant to the loss"
            )
        self.initial_beta = above_zero("beta", beta)
        self.num_classes = as_count_or_none("num_classes", num_classes)
        shape = () if self.num_classes is None else (self.num_classes,)
        start = torch.full(shape, self.initial_beta)
        if learn_beta:
            self.beta = nn.Parameter(start)
        else:
            self.register_buffer("beta", start)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """β as an optimizer's group with a learning rate of its own and no weight decay.

        Args:
            lr: the learning rate of β.

        Returns:
            One group; none where β is not learned.

        Example:
            >>> network, loss = nn.Linear(4, 2), MarginLoss()
            >>> groups = [{"params": network.parameters()}, *loss.parameter_groups(lr=0.1)]
            >>> [group["lr"] for group in torch.optim.SGD(groups, lr=1e-3).param_groups]
            [0.001, 0.1]
        """
        own = [self.beta] if isinstance(self.beta, nn.Parameter) else []
        return [{"params": [beta], "lr": lr, "weight_decay": 0.0} for beta in own]

    def beside(self, embeddings: Tensor, labels: Labels | None) -> Tensor:
        """β of each row of the batch, ``[B]``."""
        if self.num_classes is None:
            return self.beta.expand(len(embeddings))
        if labels is None:
            raise ValueError("one β for each class needs labels, also with indices; got None")
        return self.beta[class_numbers(labels, self.num_classes, embeddings)]

    def positive_terms(self, distance: Tensor) -> Tensor:
        """``[α + D − β]₊`` of genuine pairs, from ``D − β``."""
        return torch.relu(distance + self.margin)

    def negative_terms(self, distance: Tensor) -> Tensor:
        """``[α − (D − β)]₊`` of impostor pairs, from ``D − β``."""
        return torch.relu(self.margin - distance)

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """Both kinds of terms as one, as the paper reduces them."""
        if beside is None:
            raise TypeError("the margin loss compares with a boundary for each anchor, got None")
        beta = beside.to(pairs.genuine.dtype)
        near = beta[pairs.near]
        relative = pairs._replace(
            genuine=pairs.genuine - near, impostor=pairs.impostor - beta[pairs.far]
        )
        positive, negative = super().on_pairs(relative, None)
        if self.reduction == "none":
            return [positive, negative]
        total = positive.total + negative.total + self.nu * near.sum()
        return [Sum(total, positive.terms + negative.terms)]
