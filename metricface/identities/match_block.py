"""Who matches whom among some anchors and all references."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MatchBlock:
    """Who matches whom for the anchors ``start … start + b`` against all R references.

    Two compact lists, both in anchor order, anchors counted from the block's start. Every pair
    that is not in the first list is a negative.

    Args:
        start: the batch row of the block's first anchor.
        shape: ``(b, R)``.
        row: anchors of the pairs that are not negative, int64 ``[S]``.
        column: references of the same pairs: same identity, or the very same sample.
        anchor: anchors of the positive pairs, int64 ``[M]``.
        positive: references of the positive pairs: same identity, another sample.
    """

    start: int
    shape: tuple[int, int]
    row: Tensor
    column: Tensor
    anchor: Tensor
    positive: Tensor

    def hide_(self, distances: Tensor, value: float = float("inf")) -> Tensor:
        """Overwrite, in place, every entry of a block of distances that is not a negative.

        Args:
            distances: contiguous ``[b, R]``.
            value: what to write.

        Returns:
            The same tensor.

        Example:
            >>> from metricface.identities import Matches
            >>> block = Matches([0, 0, 1]).block()
            >>> block.hide_(torch.zeros(3, 3), 9.0)
            tensor([[9., 9., 0.],
                    [9., 9., 0.],
                    [0., 0., 9.]])
        """
        distances.view(-1).index_fill_(0, self._flat(), value)
        return distances

    def hidden(self, distances: Tensor, value: float = float("inf")) -> Tensor:
        """The same as :meth:`hide_` on a copy, through which gradients flow."""
        return distances.reshape(-1).index_fill(0, self._flat(), value).view(self.shape)

    def _flat(self) -> Tensor:
        return self.row * self.shape[1] + self.column

    def positive_count(self) -> Tensor:
        """Positives of each anchor, int64 ``[b]``."""
        return torch.bincount(self.anchor, minlength=self.shape[0])

    def negative_count(self) -> Tensor:
        """Negatives of each anchor, int64 ``[b]``."""
        return self.shape[1] - torch.bincount(self.row, minlength=self.shape[0])

    def nth_negative(self, anchor: Tensor, n: Tensor) -> Tensor:
        """The n-th negative of an anchor, counted from 0 in reference order.

        No mask is made: the answer is found by bisection among the pairs that are skipped.

        Args:
            anchor: anchors counted from the block's start, int64 ``[T]``.
            n: which negative, int64 ``[T]``, below the anchor's :meth:`negative_count`.

        Returns:
            References, int64 ``[T]``.

        Example:
            >>> from metricface.identities import Matches
            >>> block = Matches([0, 1, 0, 1]).block()
            >>> block.nth_negative(torch.tensor([0, 0]), torch.tensor([0, 1]))
            tensor([1, 3])
        """
        width = self.shape[1] + 1
        count = torch.bincount(self.row, minlength=self.shape[0])
        start = torch.cumsum(count, 0) - count
        rank = torch.arange(len(self.row), device=self.row.device) - start[self.row]
        # Before the j-th entry to skip stand column − j negatives: a rising number in each row.
        before = self.row * width + self.column - rank
        skipped = torch.searchsorted(before, anchor * width + n, right=True) - start[anchor]
        return n + skipped
