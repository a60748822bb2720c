"""Distance-weighted sampling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.distances import Euclidean
from metricface.given import as_count_or_none, as_number
from metricface.identities import MatchBlock
from metricface.miners.compilation import dense
from metricface.miners.draws import Draws, random_below, random_unit
from metricface.miners.miner import Miner
from metricface.types import Triplets, ragged

# Log weights stay within some tens of thousands in any dimension in use.
_MASKED = 1e30


class DistanceWeightedMiner(Miner[Triplets]):
    """Negatives drawn so that every distance is equally well represented.

    On the unit sphere in n dimensions the distance of two random points has density
    ``q(d) ∝ dⁿ⁻² (1 − d²/4)^((n−3)/2)``, piled up at √2. A negative at distance d is drawn with
    probability in proportion to ``1 / q(max(d, cutoff))``, and not at all from
    ``nonzero_loss_cutoff`` on, where the margin loss is zero anyway.

    The weights run over hundreds of orders of magnitude: they are masked first and scaled by the
    largest of each anchor, so that every anchor with an eligible negative draws one.

    Args:
        cutoff: distances below count as this one, between 0 and 2.
        nonzero_loss_cutoff: negatives at this distance or farther are not drawn; above
            ``cutoff``, at most 2.
        per_anchor: triplets for each anchor, with random positives. None: one for each
            anchor–positive pair, as in the paper.
        otherwise: what an anchor gets whose negatives all lie beyond: ``"skip"`` no triplet,
            ``"uniform"`` negatives drawn uniformly from all of its.
        seed: start of the random sequence; its place in it is part of ``state_dict``.
        block_bytes: about how much extra memory mining may take, in bytes.
        compiled: run the dense inner steps under torch.compile: the same answer, sooner; the
            first call takes seconds.

    Raises:
        ValueError: cutoffs out of range, per_anchor below 1, an unknown ``otherwise``.

    Example:
        >>> embeddings = torch.eye(4)[:, :3] + 0.5
        >>> DistanceWeightedMiner(seed=0)(embeddings, [0, 0, 1, 1]).anchor
        tensor([0, 1, 2, 3])

    Reference: Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, section 4.1
    and the official code (the cutoffs).
    """

    kind = Triplets
    copies = 6

    def __init__(
        self,
        cutoff: float = 0.5,
        nonzero_loss_cutoff: float = 1.4,
        per_anchor: int | None = None,
        *,
        otherwise: Literal["skip", "uniform"] = "skip",
        seed: int = 0,
        block_bytes: int = 256 * 2**20,
        compiled: bool = False,
    ) -> None:
        super().__init__(distance=Euclidean(), block_bytes=block_bytes, compiled=compiled)
        self.cutoff = as_number("cutoff", cutoff)
        self.nonzero_loss_cutoff = as_number("nonzero_loss_cutoff", nonzero_loss_cutoff)
        if not 0 < self.cutoff < self.nonzero_loss_cutoff <= 2:
            raise ValueError(
                "the cutoffs must satisfy 0 < cutoff < nonzero_loss_cutoff <= 2, "
                f"got {cutoff} and {nonzero_loss_cutoff}"
            )
        if otherwise not in ("skip", "uniform"):
            raise ValueError(f"otherwise must be 'skip' or 'uniform', got {otherwise!r}")
        self.per_anchor = as_count_or_none("per_anchor", per_anchor)
        self.otherwise = otherwise
        self.draws = Draws(seed)
        self._key, self._dim = 0, 0

    def begin(self, dim: int) -> None:
        """A fresh key for this batch."""
        self._key, self._dim = self.draws.next_key(), dim

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """Draw a negative for each positive pair, or ``per_anchor`` triplets."""
        cumulative = dense(cumulative_weights, compiled=self.compiled)(
            block.hide_(distances), self._dim, self.cutoff, self.nonzero_loss_cutoff
        )
        anchor, positive, slot = self._positives(block)
        sample = anchor + block.start
        unit = random_unit(self._key, sample, 2 * slot, cumulative.dtype)
        negative = draw_columns(cumulative, anchor, unit)
        found = cumulative[anchor, -1] > 0
        if self.otherwise == "uniform":
            count = block.negative_count()
            rank = random_below(self._key, sample, 2 * slot, count[anchor])
            any_negative = block.nth_negative(anchor, rank.clamp_max(count[anchor] - 1))
            negative = torch.where(found, negative, any_negative)
            found = count[anchor] > 0
        return Triplets(anchor[found], positive[found], negative[found])

    def _positives(self, block: MatchBlock) -> tuple[Tensor, Tensor, Tensor]:
        """Anchor, positive and a number for each draw within its anchor, ``[T]`` each."""
        count = block.positive_count()
        if self.per_anchor is None:
            return block.anchor, block.positive, ragged(count)[1]
        anchor, slot = ragged((count > 0) * self.per_anchor)
        place = random_below(self._key, anchor + block.start, 2 * slot + 1, count[anchor])
        first = torch.cumsum(count, 0) - count
        return anchor, block.positive[first[anchor] + place], slot


def log_inverse_density(distances: Tensor, dim: int) -> Tensor:
    """``log 1/q(d)`` up to a constant: ``(2 − n) log d − (n − 3)/2 · log(1 − d²/4)``.

    Args:
        distances: Euclidean, between 0 and 2, any shape.
        dim: n, the dimension of the embeddings.

    Returns:
        The same shape; infinite at 0 and 2.

    Example:
        >>> round(float(log_inverse_density(torch.tensor(0.5), 128)), 1)
        91.4

    Reference: Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, eq. 4.
    """
    squared = distances * distances
    weight = torch.log(squared).mul_((2 - dim) / 2)
    return weight.sub_(squared.mul_(-0.25).log1p_(), alpha=(dim - 3) / 2)


def cumulative_weights(
    distances: Tensor, dim: int, cutoff: float, nonzero_loss_cutoff: float
) -> Tensor:
    """Running sums of the weights along each row, each row scaled by its largest weight.

    Args:
        distances: Euclidean between unit vectors, ``[b, R]``; inf where nothing is to be drawn.
        dim: dimension of the embeddings.
        cutoff: distances below count as this one.
        nonzero_loss_cutoff: from here on the weight is zero.

    Returns:
        ``[b, R]``, rising along each row; a row without eligible entries is 0.

    Example:
        >>> d = torch.tensor([[0.4, 0.5, 1.5]])
        >>> cumulative_weights(d, 64, 0.5, 1.4)
        tensor([[1., 2., 2.]])
    """
    farthest = min(nonzero_loss_cutoff, 2 - 2 * torch.finfo(distances.dtype).eps)  # finite at 2
    weight = log_inverse_density(distances.clamp(cutoff, farthest), dim)
    # Far below any weight, in place of a mask: selecting costs many times an addition.
    weight.sub_((distances >= nonzero_loss_cutoff).to(weight.dtype), alpha=_MASKED)
    largest = weight.amax(1, keepdim=True).clamp_min_(-_MASKED / 2)
    return weight.sub_(largest).exp_().cumsum_(1)


def draw_columns(cumulative: Tensor, row: Tensor, unit: Tensor) -> Tensor:
    """Columns by inversion: the first whose running sum exceeds ``unit`` times the row's total.

    Args:
        cumulative: rising along each row, ``[b, R]``.
        row: which row to draw from, int64 ``[T]``.
        unit: random numbers in ``[0, 1)``, ``[T]``.

    Returns:
        Columns, int64 ``[T]``; of no meaning for a row whose total is 0.

    Example:
        >>> cumulative, row = torch.tensor([[0.0, 1.0, 1.0, 4.0]]), torch.tensor([0, 0])
        >>> draw_columns(cumulative, row, torch.tensor([0.2, 0.3]))
        tensor([1, 3])
    """
    total = cumulative[row, -1]
    # Rounding must not reach the total itself, which no running sum exceeds.
    target = torch.minimum(unit * total, torch.nextafter(total, torch.zeros_like(total)))
    low = torch.zeros_like(row)
    high = torch.full_like(row, cumulative.shape[1] - 1)
    for _ in range((cumulative.shape[1] - 1).bit_length()):
        middle = (low + high) // 2
        beyond = cumulative[row, middle] > target
        high = torch.where(beyond, middle, high)
        low = torch.where(beyond, low, torch.minimum(middle + 1, high))
    return high
