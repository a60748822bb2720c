"""What losses on single pairs share: which pairs there are, and how their terms are added up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metricface.identities import MatchBlock
from metricface.losses.embedding_loss import EmbeddingLoss
from metricface.losses.reduction import Sum, summed
from metricface.types import as_pairs, ragged


class Compared(NamedTuple):
    """Distances of pairs, and the rows of the batch that are their anchors."""

    genuine: Tensor  # [M]
    near: Tensor  # anchors of the same pairs, [M]
    impostor: Tensor  # [T], or [b, R] and infinite where there is no such pair
    far: Tensor  # anchors of the same pairs, [T] or [b, 1]
    impostors: Tensor | None  # how many impostor pairs there are; None for all that are listed


class PairLoss(EmbeddingLoss):
    """A loss with a term for each genuine and each impostor pair; a member says the terms.

    Without indices all pairs of the batch are used. Genuine pairs are few and may be near
    duplicates, so their distances are taken row by row; those of impostors come from one matrix
    product.
    """

    copies = 10

    @abstractmethod
    def positive_terms(self, distance: Tensor) -> Tensor:
        """Terms of genuine pairs from their distances, ``[M]``."""

    @abstractmethod
    def negative_terms(self, distance: Tensor) -> Tensor:
        """Terms of impostor pairs, ``[T]`` or ``[b, R]``; an infinite distance has to give 0."""

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """The sums of both kinds of terms; beside is what :meth:`EmbeddingLoss.beside` gives."""
        positive, negative = self.positive_terms(pairs.genuine), self.negative_terms(pairs.impostor)
        impostors = summed(negative, self.reduction, pairs.impostors)
        return [summed(positive, self.reduction), impostors]

    def on_indices(
        self,
        embeddings: Tensor,
        reference: Tensor,
        indices: Sequence[Tensor],
        beside: Tensor | None,
    ) -> list[Sum]:
        """Over mined pairs; a triplet is one pair of each kind."""
        near, positive, far, negative = as_pairs(indices)
        genuine = self.listed(embeddings, reference, near, positive)
        impostor = self.listed(embeddings, reference, far, negative)
        return self.on_pairs(Compared(genuine, near, impostor, far, None), beside)

    def on_block(
        self, genuine: Tensor, every: Tensor, block: MatchBlock, beside: Tensor | None
    ) -> list[Sum]:
        """Over all pairs of some anchors."""
        near, count = block.start + block.anchor, block.negative_count()
        if self.reduction == "none":
            row, rank = ragged(count)
            impostor = every[row, block.nth_negative(row, rank)]
            return self.on_pairs(Compared(genuine, near, impostor, block.start + row, None), beside)
        rows = torch.arange(block.start, block.start + len(every), device=every.device)
        pairs = Compared(genuine, near, block.hidden(every), rows[:, None], count.sum())
        return self.on_pairs(pairs, beside)

    def listed(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Distances of listed pairs, ``[T]``."""
        return self.distance.gathered(x, y, rows, columns)
