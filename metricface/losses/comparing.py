"""Losses on the distances of genuine and of impostor pairs: which pairs there are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from metricface.identities import MatchBlock
from metricface.losses.embedding_loss import EmbeddingLoss
from metricface.losses.reduction import Sum
from metricface.types import as_pairs, ragged


class Compared(NamedTuple):
    """Distances of pairs, and which of the anchors compared are theirs, counted from 0."""

    anchors: int  # how many there are, with and without pairs: b
    genuine: Tensor  # [M]
    near: Tensor  # anchors of the same pairs, [M]
    impostor: Tensor  # [T], or [b, R] and nowhere() where there is no such pair
    far: Tensor  # anchors of the same pairs, [T] or [b, 1]
    impostors: Tensor | None  # how many impostor pairs there are; None for all that are listed

    def present(self, exponents: Tensor) -> Tensor:
        """Exponents of the impostor pairs, very low where there is no pair."""
        if self.far.shape == self.impostor.shape:
            return exponents
        none = self.impostor.detach() >= nowhere(exponents.dtype) / 2
        return exponents.masked_fill(none, -nowhere(exponents.dtype))


class ComparingLoss(EmbeddingLoss):
    """A loss that looks at the distances of genuine and of impostor pairs.

    Without indices all pairs of the batch are used. Genuine pairs are few and may be near
    duplicates, so their distances are taken row by row; those of impostors come from one matrix
    product.
    """

    copies = 10
    #: Whether a pair counts once, however often it was mined.
    once: ClassVar[bool] = False

    @abstractmethod
    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """The sums from the distances; beside is what :meth:`EmbeddingLoss.beside` gives."""

    def on_indices(
        self,
        embeddings: Tensor,
        reference: Tensor,
        indices: Sequence[Tensor],
        beside: Tensor | None,
    ) -> list[Sum]:
        """Over mined pairs; a triplet is one pair of each kind."""
        near, positive, far, negative = as_pairs(indices)
        if self.once:
            near, positive = _distinct(near, positive, len(reference))
            far, negative = _distinct(far, negative, len(reference))
        genuine = self.listed(embeddings, reference, near, positive)
        impostor = self.listed(embeddings, reference, far, negative)
        pairs = Compared(len(embeddings), genuine, near, impostor, far, None)
        return self.on_pairs(pairs, beside)

    def on_block(
        self, genuine: Tensor, every: Tensor, block: MatchBlock, beside: Tensor | None
    ) -> list[Sum]:
        """Over all pairs of some anchors."""
        count = block.negative_count()
        if self.reduction == "none":
            row, rank = ragged(count, int(block.counts[1].sum()))
            impostor = every[row, block.nth_negative(row, rank)]
            pairs = Compared(len(every), genuine, block.anchor, impostor, row, None)
            return self.on_pairs(pairs, beside)
        hidden = block.hidden(every, nowhere(every.dtype))
        rows = torch.arange(len(every), device=every.device)[:, None]
        pairs = Compared(len(every), genuine, block.anchor, hidden, rows, count.sum())
        return self.on_pairs(pairs, beside)

    def listed(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Distances of listed pairs, ``[T]``."""
        return self.distance.gathered(x, y, rows, columns)


def nowhere(dtype: torch.dtype) -> float:
    """The distance that stands for no pair.

    It is beyond every margin, its exponential is 0, and since it is finite no gradient is NaN.

    Example:
        >>> nowhere(torch.float32) > 1e18
        True
    """
    return float(torch.finfo(dtype).max ** 0.5)


def _distinct(rows: Tensor, columns: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The same pairs, each once, in the order of their rows."""
    flat = torch.unique(rows * width + columns)
    return flat // max(width, 1), flat % max(width, 1)
