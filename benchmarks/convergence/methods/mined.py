"""Every miner with the losses it goes with, and the losses over the whole batch."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from benchmarks.convergence.methods.method import (
    CONTRASTIVE_MARGINS,
    HINGE_MARGINS,
    Method,
    Miner,
    Setup,
    Values,
    trained_on,
)
from metricface import losses, miners
from metricface.distances import Distance, Euclidean, SquaredEuclidean

TEMPERATURES = (0.1, 0.05, 0.2)
BOUNDARY = {"beta": (1.2, 0.9, 1.0), "loss_lr": (1e-2, 1e-3)}

MINERS: dict[str, tuple[str, Callable[[Distance, float, int], Miner]]] = {
    "random": (
        "one random triplet per anchor",
        lambda distance, margin, seed: miners.RandomMiner(seed=seed),
    ),
    "batch-all": (
        "every triplet that violates the margin, 8 per anchor at random",
        lambda distance, margin, seed: miners.BatchAllMiner(
            margin, per_anchor=8, distance=distance, seed=seed
        ),
    ),
    "semi-hard": (
        "every pair with its closest negative inside the margin",
        lambda distance, margin, seed: miners.SemiHardMiner(margin, distance=distance),
    ),
    "batch-hard": (
        "hardest positive and negative per anchor",
        lambda distance, margin, seed: miners.BatchHardMiner(distance=distance),
    ),
    "easy-positive": (
        "closest positive and a semi-hard negative per anchor",
        lambda distance, margin, seed: miners.EasyPositiveMiner(distance=distance),
    ),
    "ranked": (
        "hardest positive and one of the five hardest negatives per anchor",
        lambda distance, margin, seed: miners.RankedMiner(
            (0, 1), (0, 5), distance=distance, seed=seed
        ),
    ),
    "distance-weighted": (
        "a negative per positive, uniform in distance",
        lambda distance, margin, seed: miners.DistanceWeightedMiner(seed=seed),
    ),
    "multi-similarity": (
        "pairs harder than the anchor's easiest of the other kind, epsilon 0.1",
        lambda distance, margin, seed: miners.MultiSimilarityMiner(0.1),
    ),
}
"""What each picks, and how it is made for a distance, a margin and a seed."""

# The papers' distances: hinges on the squared one are FaceNet's; batch-hard is "more prone to
# collapsing" with it.
SQUARED = {"random", "batch-all", "semi-hard"}


def _distance(miner: str) -> Distance:
    return SquaredEuclidean() if miner in SQUARED else Euclidean()


def _triplet(miner: str) -> Method:
    rule, make = MINERS[miner]
    distance = _distance(miner)

    def ask(setup: Setup, values: Values) -> tuple[nn.Module, Miner]:
        loss = losses.TripletLoss(values["margin"], distance=distance)
        return loss, make(distance, values["margin"], setup.seed)

    measured = "squared distance" if miner in SQUARED else "distance"
    return Method(
        miner, "triplet", f"{rule}; hinge on {measured}", trained_on(ask), {"margin": HINGE_MARGINS}
    )


def _soft(miner: str) -> Method:
    rule, make = MINERS[miner]

    def ask(setup: Setup, values: Values) -> tuple[nn.Module, Miner]:
        loss = losses.TripletLoss("soft", distance=Euclidean())
        return loss, make(Euclidean(), 0.2, setup.seed)

    rule = f"{rule}; soft margin on distance"
    return Method(f"{miner}-soft", "triplet", rule, trained_on(ask))


def _contrastive(miner: str) -> Method:
    rule, make = MINERS[miner]

    def ask(setup: Setup, values: Values) -> tuple[nn.Module, Miner]:
        return losses.ContrastiveLoss(values["margin"]), make(_distance(miner), 0.2, setup.seed)

    rule = f"{rule}; contrastive loss of Hadsell's form"
    space = {"margin": CONTRASTIVE_MARGINS}
    return Method(f"{miner}-contrastive", "pair", rule, trained_on(ask), space)


def _margin(miner: str) -> Method:
    rule, make = MINERS[miner]

    def ask(setup: Setup, values: Values) -> tuple[nn.Module, Miner]:
        loss = losses.MarginLoss(0.2, values["beta"])
        return loss, make(_distance(miner), 0.2, setup.seed)

    rule = f"{rule}; margin loss 0.2 with a learnt boundary"
    return Method(f"{miner}-margin", "pair", rule, trained_on(ask), BOUNDARY)


MINED = [kind(miner) for kind in (_triplet, _soft, _contrastive, _margin) for miner in MINERS]


def _whole(
    name: str, rule: str, make: Callable[..., nn.Module], **space: tuple[float, ...]
) -> Method:
    def ask(setup: Setup, values: Values) -> tuple[nn.Module, None]:
        return make(**{key: values[key] for key in space if key != "loss_lr"}), None

    return Method(name, "pair", f"all pairs of the batch; {rule}", trained_on(ask), space)


WHOLE_BATCH = [
    Method(
        "all-triplets",
        "triplet",
        "every triplet of the batch, exactly; hinge on distance, mean of those above zero",
        trained_on(
            lambda setup, values: (
                losses.BatchAllTripletLoss(values["margin"], distance=Euclidean()),
                None,
            )
        ),
        {"margin": HINGE_MARGINS},
    ),
    Method(
        "contrastive",
        "pair",
        "all pairs of the batch; contrastive loss of Hadsell's form",
        trained_on(lambda setup, values: (losses.ContrastiveLoss(values["margin"]), None)),
        {"margin": CONTRASTIVE_MARGINS},
    ),
    Method(
        "contrastive-linear",
        "pair",
        "all pairs of the batch; contrastive loss, linear in the distance",
        trained_on(
            lambda setup, values: (losses.ContrastiveLoss(values["margin"], form="linear"), None)
        ),
        {"margin": CONTRASTIVE_MARGINS},
    ),
    Method(
        "margin",
        "pair",
        "all pairs of the batch; margin loss 0.2 with a learnt boundary",
        trained_on(lambda setup, values: (losses.MarginLoss(0.2, values["beta"]), None)),
        BOUNDARY,
    ),
    _whole("supcon", "supervised contrastive loss", losses.SupConLoss, temperature=TEMPERATURES),
    _whole(
        "info-nce",
        "each positive against all negatives",
        losses.InfoNCELoss,
        temperature=TEMPERATURES,
    ),
    _whole(
        "sigmoid-pairs",
        "a learnt logistic function of each pair",
        losses.SigmoidPairLoss,
        bias=(-10.0, -5.0, -2.0),
        loss_lr=(1e-2, 1e-3),
    ),
    _whole("circle", "circle loss", losses.CircleLoss, margin=(0.4, 0.25), scale=(80.0, 256.0)),
    _whole(
        "lifted-structure",
        "lifted structure, generalised",
        losses.LiftedStructureLoss,
        margin=(1.0, 0.5),
    ),
    _whole("nca", "neighbourhood components", losses.NCALoss, scale=(1.0, 5.0, 10.0, 20.0)),
    _whole(
        "smooth-ap", "smooth average precision", losses.SmoothAPLoss, temperature=(0.01, 0.03, 0.1)
    ),
    Method(
        "multi-similarity-loss",
        "pair",
        "pairs harder than the anchor's easiest, epsilon 0.1; multi-similarity loss",
        trained_on(
            lambda setup, values: (
                losses.MultiSimilarityLoss(base=values["base"]),
                miners.MultiSimilarityMiner(0.1),
            )
        ),
        {"base": (0.5, 0.3, 0.7)},
    ),
]
