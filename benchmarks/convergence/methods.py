"""The table of methods: what is mined, what is asked of it, with which margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from benchmarks.peers import pml
from metricface import losses, miners
from metricface.distances import Euclidean


class Miner(Protocol):
    """Picks index triplets or pairs from a batch; either library's miners are this."""

    def __call__(self, embeddings: Tensor, labels: Tensor, /) -> Sequence[Tensor]:
        """Index vectors of the mined triplets (3) or pairs (4)."""
        ...


class Loss(Protocol):
    """A number for a batch and the indices mined from it; either library's losses are this."""

    def __call__(
        self, embeddings: Tensor, labels: Tensor, indices: Sequence[Tensor] | None = None, /
    ) -> Tensor:
        """The scalar loss; without indices over everything the loss is defined on."""
        ...


class Objective(NamedTuple):
    """What a method trains with; without a miner the loss uses the whole batch."""

    miner: Miner | None
    loss: Loss


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: as typed after ``--methods`` and written in every table.
        rule: what it does, in one line; a run folder refuses to continue when it changed.
        build: makes the miner and the loss for a seed.
    """

    name: str
    rule: str
    build: Callable[[int], Objective]


def _random(seed: int) -> Objective:
    return Objective(miners.RandomMiner(seed=seed), losses.TripletLoss(margin=0.2))


def _semi_hard(seed: int) -> Objective:
    return Objective(miners.SemiHardMiner(margin=0.2), losses.TripletLoss(margin=0.2))


def _batch_hard(seed: int) -> Objective:
    # The paper's distance: squared, it is "more prone to collapsing".
    return Objective(miners.BatchHardMiner(), losses.TripletLoss(margin=0.2, distance=Euclidean()))


def _batch_hard_soft(seed: int) -> Objective:
    return Objective(
        miners.BatchHardMiner(), losses.TripletLoss(margin="soft", distance=Euclidean())
    )


def _contrastive(seed: int) -> Objective:
    return Objective(None, losses.ContrastiveLoss(margin=1.0))


_TABLE = (
    Method("random", "one random triplet per anchor, hinge 0.2 on squared distance", _random),
    Method(
        "semi-hard",
        "every pair with its closest negative inside the margin, hinge 0.2 on squared distance",
        _semi_hard,
    ),
    Method(
        "batch-hard",
        "hardest positive and negative per anchor, hinge 0.2 on distance",
        _batch_hard,
    ),
    Method(
        "batch-hard-soft",
        "hardest positive and negative per anchor, soft margin on distance",
        _batch_hard_soft,
    ),
    Method("contrastive", "all pairs of the batch, Hadsell's form, margin 1", _contrastive),
    Method(
        "pml-semi-hard",
        "pytorch-metric-learning: TripletMarginMiner(semihard, 0.2), TripletMarginLoss(0.2)",
        lambda seed: Objective(*pml.semi_hard(0.2)),
    ),
    Method(
        "pml-batch-hard",
        "pytorch-metric-learning: BatchHardMiner, TripletMarginLoss(0.2)",
        lambda seed: Objective(*pml.batch_hard(0.2)),
    ),
    Method(
        "pml-contrastive",
        "pytorch-metric-learning: ContrastiveLoss(0, 1) over all pairs",
        lambda seed: Objective(*pml.contrastive(0.0, 1.0)),
    ),
    Method(
        "pml-multi-similarity",
        "pytorch-metric-learning: MultiSimilarityMiner(0.1), MultiSimilarityLoss",
        lambda seed: Objective(*pml.multi_similarity(0.1)),
    ),
    Method(
        "pml-distance-weighted",
        "pytorch-metric-learning: DistanceWeightedMiner, MarginLoss(0.2, learnt beta)",
        lambda seed: Objective(*pml.distance_weighted(0.2)),
    ),
)

METHODS = {method.name: method for method in _TABLE}
"""Every method by its name, in the order of the tables."""


def choose(names: Sequence[str]) -> list[Method]:
    """The methods of those names, each once, in the order given.

    Args:
        names: keys of :data:`METHODS`.

    Raises:
        ValueError: a name that is not in the table.

    Example:
        >>> [method.name for method in choose(["semi-hard", "random"])]
        ['semi-hard', 'random']
    """
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ValueError(f"unknown methods {unknown}; there are {', '.join(METHODS)}")
    return [METHODS[name] for name in dict.fromkeys(names)]
