"""Losses with a term for each pair."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from metricface.losses.comparing import Compared, ComparingLoss
from metricface.losses.reduction import Sum, summed


class PairLoss(ComparingLoss):
    """A loss with a term for each genuine and each impostor pair; a member says the terms."""

    @abstractmethod
    def positive_terms(self, distance: Tensor) -> Tensor:
        """Terms of genuine pairs from their distances, ``[M]``."""

    @abstractmethod
    def negative_terms(self, distance: Tensor) -> Tensor:
        """Terms of impostor pairs, ``[T]`` or ``[b, R]``; 0 for a distance beyond all margins."""

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """The sums of both kinds of terms."""
        positive, negative = self.positive_terms(pairs.genuine), self.negative_terms(pairs.impostor)
        impostors = summed(negative, self.reduction, pairs.impostors)
        return [summed(positive, self.reduction), impostors]
