"""One table of components for each family; every contract is a test that loops over it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.losses import ContrastiveLoss, EmbeddingLoss, TripletLoss
from metricface.miners import BatchHardMiner, Miner, RandomMiner, SemiHardMiner
from metricface.types import Pairs, Triplets

AnyMiner = Miner[Triplets] | Miner[Pairs]

DISTANCES: dict[str, Distance] = {
    f"{kind.__name__}(normalize={normalize})": kind(normalize=normalize)
    for kind in (SquaredEuclidean, Euclidean, Cosine)
    for normalize in (True, False)
}

#: Miners whose answer is a function of the batch alone.
FIXED_MINERS: dict[str, Callable[..., AnyMiner]] = {
    "batch-hard": BatchHardMiner,
    "semi-hard": partial(SemiHardMiner, margin=0.5),
    "semi-hard, unbounded": partial(SemiHardMiner, bounded=False),
    "semi-hard, or else the easiest": partial(SemiHardMiner, bounded=False, otherwise="easiest"),
}

#: Miners that draw; each takes a seed.
RANDOM_MINERS: dict[str, Callable[..., AnyMiner]] = {
    "random": RandomMiner,
    "random, three each": partial(RandomMiner, 3),
    "semi-hard, random": partial(SemiHardMiner, margin=0.5, negative="random"),
    "margin violator": partial(SemiHardMiner, negative="random", include_hard=True),
}

MINERS = FIXED_MINERS | RANDOM_MINERS

#: Losses with their defaults where it matters least; all take a reduction and a distance.
LOSSES: dict[str, Callable[..., EmbeddingLoss]] = {
    "triplet": TripletLoss,
    "triplet, soft": partial(TripletLoss, "soft"),
    "triplet, swap": partial(TripletLoss, swap=True),
    "contrastive": ContrastiveLoss,
    "contrastive, linear": partial(ContrastiveLoss, form="linear"),
}
