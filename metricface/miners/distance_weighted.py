"""Distance-weighted sampling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.distances import Euclidean
from metricface.given import as_count_or_none, as_number
from metricface.identities import MatchBlock, places
from metricface.miners.compilation import dense
from metricface.miners.draws import Draws, random_below, random_unit
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.inverse_density import cumulative_weights, draw_columns
from metricface.miners.kernels import random_between
from metricface.miners.miner import Miner
from metricface.types import Triplets, ragged


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
        guard: passes over negatives that may be wrongly labelled.
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
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
        compiled: bool = False,
    ) -> None:
        super().__init__(
            distance=Euclidean(),
            draws=Draws(seed),
            guard=guard,
            block_bytes=block_bytes,
            compiled=compiled,
        )
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

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """Draw a negative for each positive pair, or ``per_anchor`` triplets."""
        self.hide_(distances, block)
        cumulative = dense(cumulative_weights, compiled=self.compiled)(
            distances, self._dim, self.cutoff, self.nonzero_loss_cutoff
        )
        anchor, positive, slot = self._positives(block)
        sample = self.numbers(anchor, block)
        unit = random_unit(self._key, sample, 2 * slot, cumulative.dtype)
        negative = draw_columns(cumulative, anchor, unit)
        found = weighed = cumulative[anchor, -1] > 0
        if self.otherwise == "uniform":
            least, most = torch.full_like(unit, -1.0), torch.full_like(unit, torch.inf)
            found, any_negative = random_between(
                distances,
                anchor,
                least,
                most,
                self._key,
                (sample, 2 * slot),
                compiled=self.compiled,
            )
            negative = torch.where(weighed, negative, any_negative)
        kept = places(found)
        return Triplets(anchor[kept], positive[kept], negative[kept])

    def _positives(self, block: MatchBlock) -> tuple[Tensor, Tensor, Tensor]:
        """Anchor, positive and a number for each draw within its anchor, ``[T]`` each."""
        count = block.positive_count()
        if self.per_anchor is None:
            return block.anchor, block.positive, ragged(count, len(block.anchor))[1]
        drawing = int((block.counts[0] > 0).sum()) * self.per_anchor
        anchor, slot = ragged((count > 0) * self.per_anchor, drawing)
        sample = self.numbers(anchor, block)
        place = random_below(self._key, sample, 2 * slot + 1, count[anchor])
        first = torch.cumsum(count, 0) - count
        return anchor, block.positive[first[anchor] + place], slot
