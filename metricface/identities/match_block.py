"""Who matches whom among some anchors and all references."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from metricface.transfers import sent


@dataclass(frozen=True)
class MatchBlock:
    """Who matches whom for the anchors ``start … start + b`` against all R references.

    Two compact lists, both in anchor order, anchors counted from the block's start. Every pair
    that is not in the first list is a negative.

    Args:
        start: the batch row of the block's first anchor.
        shape: ``(b, R)``.
        device: where the lists are wanted.
        listed: anchors and references of the pairs that are not negative, int64 ``[S]`` each,
            wherever they were made.
        pairs: anchors and references of the positive pairs, int64 ``[M]`` each.
        entries: how many references are of each anchor's identity, of its sample, and of both,
            int64 ``[b]`` each, on the host, or a number that is that of all.
    """

    start: int
    shape: tuple[int, int]
    device: torch.device
    listed: tuple[Tensor, Tensor]
    pairs: tuple[Tensor, Tensor]
    entries: tuple[Tensor, Tensor | int, Tensor | int]

    @cached_property
    def row(self) -> Tensor:
        """Anchors of the pairs that are not negative, int64 ``[S]``."""
        return sent(self.listed[0], self.device)

    @cached_property
    def column(self) -> Tensor:
        """References of the same pairs: same identity, or the very same sample."""
        return sent(self.listed[1], self.device)

    @cached_property
    def anchor(self) -> Tensor:
        """Anchors of the positive pairs, int64 ``[M]``."""
        return sent(self.pairs[0], self.device)

    @cached_property
    def positive(self) -> Tensor:
        """References of the positive pairs: same identity, another sample."""
        return sent(self.pairs[1], self.device)

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
        return self._sent_counts[0]

    def negative_count(self) -> Tensor:
        """Negatives of each anchor, int64 ``[b]``."""
        return self._sent_counts[1]

    @cached_property
    def counts(self) -> tuple[Tensor, Tensor]:
        """The same two on the host, which so knows how long what it makes of them will be."""
        count, own, shared = self.entries
        return count - shared, self.shape[1] - (count + own - shared)

    @cached_property
    def _sent_counts(self) -> tuple[Tensor, Tensor]:
        positives, negatives = self.counts
        return sent(positives, self.device), sent(negatives, self.device)

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
        count = self.shape[1] - self.negative_count()
        start = torch.cumsum(count, 0) - count
        rank = torch.arange(len(self.row), device=self.row.device) - start[self.row]
        # Before the j-th entry to skip stand column − j negatives: a rising number in each row.
        before = self.row * width + self.column - rank
        skipped = torch.searchsorted(before, anchor * width + n, right=True) - start[anchor]
        return n + skipped
