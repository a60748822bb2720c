"""DeepID2's verification signals, and the margin that follows the distances."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.distances import Cosine, Euclidean
from metricface.distances.threshold import threshold_gain
from metricface.embeddings import working_dtype
from metricface.given import above_zero, as_count, as_count_or_none
from metricface.identities import Matches
from metricface.losses.comparing import Compared
from metricface.losses.pair_loss import PairLoss
from metricface.losses.reduction import Sum
from metricface.memory import Ring
from metricface.types import Reduction, ragged


class VerificationSignal(PairLoss):
    """Says of each pair whether it is one identity.

    ===================================  =========================  =======================
    ``signal``                           same identity              different identities
    ===================================  =========================  =======================
    ``"l2"``                             ``½ D²``                   ``½ [m − D]₊²``
    ``"l2"`` with ``squared_margin``     ``½ D²``                   ``½ [m − D²]₊``
    ``"l1"``                             ``½ D₁²``                  ``½ [m − D₁]₊²``
    ``"cosine"``                         ``½ (1 − σ(w cos + b))²``  ``½ σ(w cos + b)²``
    ===================================  =========================  =======================

    D is the Euclidean distance of the features as they are, D₁ the sum of absolute differences,
    σ the logistic function with w and b trained. The ``l1`` and cosine forms follow secondary
    sources and are unverified against the paper.

    The margin is not trained. In training mode the distances of recent pairs are kept, and after
    every ``refresh_every`` pairs the margin becomes the threshold that verifies them with least
    error (:func:`least_error_threshold`). Margin and window are in ``state_dict``; a refresh
    counts from the next batch on. Features so long that the margin would be infinite are an error.

    Args:
        signal: ``"l2"``, ``"l1"`` or ``"cosine"``.
        margin: m, or its first value, above 0; in the unit of what it is compared with. Not used
            by the cosine.
        squared_margin: the second form of ``"l2"``.
        normalize: scale features to length one first. A margin of 0.1 to 0.2 is then a start that
            trains.
        refresh_every: pairs between two refreshes; None keeps the margin. 200,000 in the paper
            (unverified).
        window: how many recent pairs are looked at, half of them genuine, half impostors.
        reduction: of the genuine and of the impostor terms, which are then added; ``"none"``
            gives all terms, genuine ones first.
        miner: picks pairs where a call brings none; None means all pairs of the batch.

    Raises:
        ValueError: a setting out of its range, an unknown signal or reduction.

    Example:
        >>> features = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
        >>> VerificationSignal(margin=6.0)(features, [0, 1])  # ½ (6 − 5)²
        tensor(0.5000)

    Reference: Sun et al., "Deep Learning Face Representation by Joint Identification-
    Verification", NIPS 2014, section 2; Hadsell et al., CVPR 2006 for the margin form.
    """

    margin: Tensor
    by_anchor = False  # the margin follows the distances of whole batches

    def __init__(
        self,
        signal: Literal["l2", "l1", "cosine"] = "l2",
        *,
        margin: float = 1.0,
        squared_margin: bool = False,
        normalize: bool = False,
        refresh_every: int | None = 200_000,
        window: int = 200_000,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
    ) -> None:
        distance = Cosine() if signal == "cosine" else Euclidean(normalize=normalize)
        super().__init__(distance, reduction, miner)
        if signal not in ("l2", "l1", "cosine"):
            raise ValueError(f"signal must be 'l2', 'l1' or 'cosine', got {signal!r}")
        start = above_zero("margin", margin)
        if squared_margin and signal != "l2":
            raise ValueError(f"squared_margin belongs to 'l2', the signal is {signal!r}")
        kept = as_count("window", window, least=2) // 2
        self.signal = signal
        self.squared_margin = squared_margin
        self.refresh_every = as_count_or_none("refresh_every", refresh_every)
        self._since_refresh = 0
        if signal == "cosine":
            self.slope = nn.Parameter(torch.tensor(1.0))
            self.offset = nn.Parameter(torch.tensor(0.0))
            return
        self.initial_margin = start
        self.register_buffer("margin", torch.tensor(start))
        self.genuine = RecentValues(kept)
        self.impostor = RecentValues(kept)

    def on_everything(
        self, embeddings: Tensor, reference: Tensor, matches: Matches, beside: Tensor | None
    ) -> list[Sum]:
        """Over all pairs of the batch, each of them listed: its distance is remembered."""
        block = matches.block()
        row, rank = ragged(block.negative_count(), int(block.counts[1].sum()))
        genuine = self.listed(embeddings, reference, block.anchor, block.positive)
        impostor = self._every(embeddings, reference)[row, block.nth_negative(row, rank)]
        return self.on_pairs(
            Compared(len(embeddings), genuine, block.anchor, impostor, row, None), beside
        )

    def on_pairs(self, pairs: Compared, beside: Tensor | None) -> list[Sum]:
        """The sums; in training mode the margin may move afterwards."""
        sums = super().on_pairs(pairs, beside)
        if self.training and self.refresh_every is not None and self.signal != "cosine":
            self._watch(pairs.genuine.detach(), pairs.impostor.detach(), self.refresh_every)
        return sums

    def listed(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Distances of listed pairs, ``[T]``."""
        if self.signal != "l1":
            return super().listed(x, y, rows, columns)
        x, y = self._features(x, y)
        return (x[rows] - y[columns]).abs().sum(1)

    def positive_terms(self, distance: Tensor) -> Tensor:
        """Half the squared distance, or half the squared doubt that they are one identity."""
        if self.signal == "cosine":
            return (1 - self._same(distance)) ** 2 / 2
        return distance * distance / 2

    def negative_terms(self, distance: Tensor) -> Tensor:
        """What the distance falls short of the margin by, squared and halved, and its kin."""
        if self.signal == "cosine":
            return self._same(distance) ** 2 / 2
        if self.squared_margin:
            return torch.relu(self.margin - distance * distance) / 2
        return torch.relu(self.margin - distance) ** 2 / 2

    def get_extra_state(self) -> dict[str, int]:
        """Pairs since the last refresh, for ``state_dict``."""
        return {"since_refresh": self._since_refresh}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on from the count of a ``state_dict``."""
        self._since_refresh = state["since_refresh"]

    def _same(self, distance: Tensor) -> Tensor:
        """The probability of one identity, from 1 − cos."""
        return torch.sigmoid(self.slope * (1 - distance) + self.offset)

    def _every(self, x: Tensor, y: Tensor) -> Tensor:
        """Distances of all pairs, ``[B, R]``."""
        if self.signal != "l1":
            return self.distance.block(*self.distance.prepare(x, None if x is y else y))
        return torch.cdist(*self._features(x, y), p=1)

    def _features(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """What absolute differences are taken of."""
        dtype = working_dtype(x, y)
        return self.distance.rows(x, dtype), self.distance.rows(y, dtype)

    def _watch(self, genuine: Tensor, impostor: Tensor, refresh_every: int) -> None:
        """Keep the distances; after so many pairs set the margin from those that are kept."""
        if self.squared_margin:
            genuine, impostor = genuine * genuine, impostor * impostor
        self.genuine.push(genuine)
        self.impostor.push(impostor)
        self._since_refresh += len(genuine) + len(impostor)
        if self._since_refresh < refresh_every:
            return
        same, other = self.genuine.values, self.impostor.values
        if len(same) and len(other):
            threshold = least_error_threshold(same, other)
            if not math.isfinite(float(threshold)):
                raise ValueError(
                    f"the margin would become {float(threshold)}: distances between recent "
                    "features are beyond float32; normalize=True keeps them within 2"
                )
            # A new tensor: the backward pass of this batch still needs the old margin.
            self.margin = threshold
            self._since_refresh = 0


class RecentValues(Ring):
    """A ring of the last ``size`` numbers pushed, kept in ``state_dict``.

    Example:
        >>> recent = RecentValues(3)
        >>> recent.push(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        >>> recent.values.sort().values
        tensor([2., 3., 4.])
    """

    ring: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.register_buffer("ring", torch.zeros(self.size))

    @property
    def values(self) -> Tensor:
        """What is kept, in no order."""
        return self.ring[: self.pushed]

    def push(self, values: Tensor) -> None:
        """Store numbers ``[count]`` over the oldest; of more than fit the last are kept."""
        self.write((self.ring, values))

    def get_extra_state(self) -> dict[str, int]:
        """How many were pushed, for ``state_dict``."""
        return {"pushed": self.pushed}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on from the number of a ``state_dict``."""
        self.pushed = state["pushed"]


def least_error_threshold(genuine: Tensor, impostor: Tensor) -> Tensor:
    """The threshold of least verification error, the mean of both error rates.

    Pairs below the threshold are accepted. The error is half the share of genuine pairs refused
    plus half the share of impostor pairs accepted: in a batch impostors are many times the
    genuine pairs, and an error that counted pairs would be least where all are refused.

    Args:
        genuine: distances of genuine pairs, ``[M]``, at least one.
        impostor: distances of impostor pairs, ``[T]``, at least one.

    Returns:
        A scalar, midway between the last distance accepted and the first refused; the least of
        several equally good ones, and the least distance where it is best to accept none.

    Raises:
        ValueError: one of them is empty.

    Example:
        >>> least_error_threshold(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([0.6, 1.0]))
        tensor(0.4000)
    """
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"a threshold needs pairs of both kinds, got {len(genuine)} genuine "
            f"and {len(impostor)} impostor pairs"
        )
    distances, place = torch.unique(torch.cat([genuine, impostor]), return_inverse=True)
    met = [
        torch.bincount(kind, minlength=len(distances))
        for kind in place.split([len(genuine), len(impostor)])
    ]
    # How many are accepted below each distance, and beyond the last.
    won, entered = (F.pad(count.cumsum(0), (1, 0)).cpu().numpy() for count in met)
    first = int(threshold_gain(won, entered, len(genuine), len(impostor)).argmax())
    below, above = distances[max(first - 1, 0)], distances[min(first, len(distances) - 1)]
    return torch.as_tensor(below / 2 + above / 2)  # their sum may be beyond float32
