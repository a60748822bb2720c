"""Negatives that are passed over, because they may well be of the anchor's own identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metricface.given import above_zero, as_finite, zero_or_above
from metricface.identities import MatchBlock
from metricface.miners.kernels import extreme_positive


@dataclass(frozen=True)
class FalseNegativeGuard:
    """Which negatives a miner passes over, as likely to be wrongly labelled.

    The hardest negatives of a set with label noise are often no negatives: the same picture, or
    the same person, under two names. With p the nearest positive of an anchor a, in the batch or
    its references, a negative n is mined only if::

        near_duplicate  ≤  D(a, n)
        D(a, p) + margin  ≤  D(a, n)
        relative_margin · D(a, p)  ≤  D(a, n)

    as far as these are given. What is passed over is as if it were not in the batch: the next
    negative takes its place. An anchor without positives has the first bound only. All are in
    the miner's own distance; :func:`metricface.offline.nearest_impostors` has the same three over
    a whole set.

    Args:
        near_duplicate: negatives nearer than this are taken for the same picture; 0 or above.
        margin: least distance beyond the nearest positive; below 0 a negative may be nearer than
            it by so much.
        relative_margin: negatives nearer than this share of the nearest positive's distance are
            taken for the same person; above 0. It has no unit: it means the same while distances
            shrink during a training. Of squared distances the square is meant: 0.81 is 0.9 of
            the plain ones.

    Raises:
        ValueError: none of the three is given, or one is out of range.
        TypeError: a bound that is no number.

    Example:
        >>> from metricface.distances import Euclidean
        >>> from metricface.miners import BatchHardMiner
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.25], [0.75]])
        >>> guard = FalseNegativeGuard(relative_margin=0.5)
        >>> miner = BatchHardMiner(distance=Euclidean(normalize=False), guard=guard)
        >>> miner(embeddings, ["anna", "anna", "ben", "carl"]).negative
        tensor([3, 2])

    Reference: Moreira et al., "NV-Retriever: Improving text embedding models with effective
    hard-negative mining", 2024, positive-aware mining methods.
    """

    near_duplicate: float | None = None
    margin: float | None = None
    relative_margin: float | None = None

    def __post_init__(self) -> None:
        """Check what is given."""
        if self.near_duplicate is not None:
            zero_or_above("near_duplicate", self.near_duplicate)
        if self.margin is not None:
            as_finite("margin", self.margin)
        if self.relative_margin is not None:
            above_zero("relative_margin", self.relative_margin)
        if self.near_duplicate is self.margin is self.relative_margin is None:
            raise ValueError("a guard needs near_duplicate, margin or relative_margin, got none")

    def hide_(self, distances: Tensor, block: MatchBlock) -> Tensor:
        """Overwrite with infinity, in place, what is no negative and what is passed over.

        Args:
            distances: contiguous ``[b, R]``.
            block: who matches whom in the same rows.

        Returns:
            The same tensor.

        Example:
            >>> from metricface.identities import Matches
            >>> distances = torch.tensor([[0.0, 1.0, 0.2, 0.9]])
            >>> block = Matches([0], [0, 0, 1, 2], ids=[0], ref_ids=[0, 1, 2, 3]).block()
            >>> FalseNegativeGuard(margin=-0.5).hide_(distances, block)
            tensor([[   inf,    inf,    inf, 0.9000]])
        """
        least = self._least(distances, block)
        block.hide_(distances)
        return distances.masked_fill_(distances < least[:, None], torch.inf)

    def _least(self, distances: Tensor, block: MatchBlock) -> Tensor:
        """The least distance at which a negative of each anchor is mined, ``[b]``."""
        _, nearest = extreme_positive(distances, block, "nearest")
        bounds = [torch.full_like(nearest, self.near_duplicate or 0.0)]
        if self.margin is not None:
            bounds.append(nearest + self.margin)
        if self.relative_margin is not None:
            bounds.append(nearest * self.relative_margin)
        of_positive = torch.stack(bounds).amax(0)
        return torch.where(nearest < torch.inf, of_positive, bounds[0])
