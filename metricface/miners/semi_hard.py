"""Semi-hard mining: FaceNet's rule and VGG-Face's."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.given import above_zero
from metricface.identities import MatchBlock, places
from metricface.miners.draws import Draws
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.kernels import next_beyond, random_between
from metricface.miners.miner import Miner
from metricface.types import Triplets


class SemiHardMiner(Miner[Triplets]):
    """For every anchor–positive pair a negative farther than the positive, but not by much.

    A negative of the pair (a, p) is semi-hard if ``D(a,p) < D(a,n) < D(a,p) + margin``, both
    strict, in the miner's distance: *squared* Euclidean of unit vectors, as in FaceNet. All
    positive pairs of the batch are looked at; one without a semi-hard negative gives no triplet,
    unless ``otherwise`` says so.

    ==================  ===============================================================
    FaceNet             the defaults
    TensorFlow's loss   ``bounded=False, otherwise="easiest"``
    VGG-Face            ``negative="random", include_hard=True`` (any margin violator)
    ==================  ===============================================================

    Args:
        margin: width of the band, in the distance's unit, above 0. Without ``bounded`` unused.
        negative: ``"hardest"`` takes the nearest of the pair's semi-hard negatives,
            ``"random"`` any of them with equal probability.
        bounded: False drops the upper bound.
        include_hard: True drops the lower bound.
        otherwise: what a pair gets that has no such negative: ``"skip"`` no triplet,
            ``"easiest"`` the farthest negative of the anchor.
        distance: SquaredEuclidean of unit vectors by default.
        seed: start of the random sequence (``negative="random"``); its place in it is part of
            ``state_dict``.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.
        compiled: run the dense inner steps under torch.compile: the same answer, sooner; the
            first call takes seconds.

    Raises:
        ValueError: a margin that is not above 0, an unknown ``negative`` or ``otherwise``.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.5], [1.1], [9.0]])
        >>> miner = SemiHardMiner(margin=0.5, distance=SquaredEuclidean(normalize=False))
        >>> miner(embeddings, [0, 0, 1, 2, 3])  # D²(0,1) = 1: 0.25 is too near, 1.21 is not
        Triplets(anchor=tensor([0]), positive=tensor([1]), negative=tensor([3]))

    Reference: Schroff et al., "FaceNet", CVPR 2015, eq. 4; Parkhi et al., "Deep Face
    Recognition", BMVC 2015, section 4.4.
    """

    kind = Triplets

    def __init__(
        self,
        margin: float = 0.2,
        negative: Literal["hardest", "random"] = "hardest",
        bounded: bool = True,  # noqa: FBT001, FBT002  (the published signature)
        *,
        include_hard: bool = False,
        otherwise: Literal["skip", "easiest"] = "skip",
        distance: Distance | None = None,
        seed: int = 0,
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
        compiled: bool = False,
    ) -> None:
        super().__init__(
            distance=distance,
            draws=Draws(seed),
            guard=guard,
            block_bytes=block_bytes,
            compiled=compiled,
        )
        if negative not in ("hardest", "random"):
            raise ValueError(f"negative must be 'hardest' or 'random', got {negative!r}")
        if otherwise not in ("skip", "easiest"):
            raise ValueError(f"otherwise must be 'skip' or 'easiest', got {otherwise!r}")
        self.margin = above_zero("margin", margin)
        self.negative = negative
        self.bounded = bounded
        self.include_hard = include_hard
        self.otherwise = otherwise

    def drawing(self) -> bool:
        """Only where negatives are random."""
        return self.negative == "random"

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """At most one triplet for each positive pair."""
        anchor, positive = block.anchor, block.positive
        to_positive = distances[anchor, positive]
        above = torch.full_like(to_positive, -1.0) if self.include_hard else to_positive
        below = to_positive + self.margin if self.bounded else torch.full_like(above, torch.inf)
        self.hide_(distances, block)
        if self.negative == "hardest":
            nearest, negative = next_beyond(distances, anchor, above, compiled=self.compiled)
            found = nearest < below
        else:
            slot = self.numbers(anchor, block), positive
            found, negative = random_between(
                distances, anchor, above, below, self._key, slot, compiled=self.compiled
            )
        if self.otherwise == "easiest":
            farthest, easiest = distances.where(distances < torch.inf, -1.0).max(1)
            negative = torch.where(found, negative, easiest[anchor])
            found = farthest[anchor] >= 0
        kept = places(found)
        return Triplets(anchor[kept], positive[kept], negative[kept])
