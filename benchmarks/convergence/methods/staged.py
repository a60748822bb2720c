"""Recipes: two stages, two losses at once, a memory, look-alikes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.convergence.methods.method import (
    CONTRASTIVE_MARGINS,
    HINGE_MARGINS,
    Ask,
    Method,
    Miner,
    Setup,
    Space,
    Trained,
    Values,
    trained_on,
)
from metricface import recipes
from metricface.classifiers import Softmax
from metricface.distances import Euclidean
from metricface.losses import ContrastiveLoss, MarginLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner, DistanceWeightedMiner, SemiHardMiner
from metricface.samplers import HardIdentitySampler

MEMORY = 2048


def _softmax_then_semi_hard(setup: Setup, values: Values) -> Trained:
    """Half of the steps each, so that the whole costs no more steps than the others."""
    first = setup.settings.steps // 2
    done = recipes.softmax_then_triplet(
        setup.model(),
        setup.fold.train,
        sampler=setup.sampler(),
        steps=(first, setup.settings.steps - first),
        loss=TripletLoss(values["margin"]),
        miner=SemiHardMiner(values["margin"]),
        validation=setup.fold.held,
        folder=setup.folder,
        options=setup.options(values),
    )
    return Trained(done.model, done.history)


def _deepid2(setup: Setup, values: Values) -> Trained:
    done = recipes.deepid2(
        setup.model(),
        setup.fold.train,
        sampler=setup.sampler(),
        steps=setup.settings.steps,
        weight=values["weight"],
        validation=setup.fold.held,
        folder=setup.folder,
        options=setup.options(values),
    )
    return Trained(done.model, done.history)


def _batch_hard_soft(setup: Setup, values: Values) -> tuple[TripletLoss, Miner]:
    return TripletLoss("soft", distance=Euclidean()), BatchHardMiner(distance=Euclidean())


def _distance_weighted_margin(setup: Setup, values: Values) -> tuple[MarginLoss, Miner]:
    return MarginLoss(0.2, values["beta"]), DistanceWeightedMiner(seed=setup.seed)


def _semi_hard(setup: Setup, values: Values) -> tuple[TripletLoss, Miner]:
    return TripletLoss(values["margin"]), SemiHardMiner(values["margin"])


def _contrastive(setup: Setup, values: Values) -> tuple[ContrastiveLoss, None]:
    return ContrastiveLoss(values["margin"]), None


def _with_memory(ask: Ask) -> Callable[[Setup, Values], Trained]:
    """Past embeddings as references, once the memory is full or a share of the steps is taken."""

    def train(setup: Setup, values: Values) -> Trained:
        size = int(values.get("memory", MEMORY))
        images = setup.settings.steps * setup.settings.p * setup.settings.k
        warmup = int(values["warmup"] * images) if "warmup" in values else size
        memory = CrossBatchMemory(size, setup.dim, warmup=warmup)
        loss, miner = ask(setup, values)
        return setup.fit(loss, values, miner=miner, memory=memory)

    return train


def _in_look_alikes(
    ask: Ask, look_alikes: recipes.LookAlikes
) -> Callable[[Setup, Values], Trained]:
    """A share of each batch are look-alikes, in groups of four; the rest is random."""

    def train(setup: Setup, values: Values) -> Trained:
        p, k, labels = setup.settings.p, setup.settings.k, setup.fold.train.labels
        sampler = HardIdentitySampler(
            labels,
            p,
            k,
            np.empty((setup.classes, 0), np.int64),
            hard_fraction=values["share"],
            group=min(4, round(values["share"] * p)),
            seed=setup.seed,
        )
        loss, miner = ask(setup, values)
        return setup.fit(loss, values, miner=miner, sampler=sampler, look_alikes=look_alikes)

    return train


LATE_MEMORY: Space = {"memory": (2048, 8192), "warmup": (0.5, 0.2)}
SHARES: Space = {"share": (0.5, 0.25, 1.0)}
# What tuning found for the rule alone: only what is around it is tried.
BOUNDARY_AS_FOUND: Space = {"beta": (1.0,), "loss_lr": (1e-3,)}
BY_MEANS = recipes.LookAlikes(every=1, warmup=2, k=16, images=16)
BY_IMAGES = recipes.LookAlikes(every=1, warmup=2, k=16, images=8, by="closest")

STAGED = [
    Method(
        "softmax-then-semi-hard",
        "recipe",
        "plain softmax for half of the steps, then semi-hard triplets",
        _softmax_then_semi_hard,
        {"margin": HINGE_MARGINS},
    ),
    Method(
        "softmax-and-batch-hard",
        "recipe",
        "plain softmax plus batch-hard triplets with a soft margin",
        trained_on(
            lambda setup, values: (
                [Softmax(setup.classes, setup.dim), TripletLoss("soft", distance=Euclidean())],
                BatchHardMiner(distance=Euclidean()),
            )
        ),
    ),
    Method(
        "deepid2",
        "recipe",
        "plain softmax plus verification of all pairs, margin set from recent ones",
        _deepid2,
        {"weight": (0.05, 0.5, 5.0)},
    ),
    Method(
        "semi-hard-memory",
        "recipe",
        f"semi-hard triplets, in the batch and against the last {MEMORY} embeddings",
        _with_memory(_semi_hard),
        {"margin": HINGE_MARGINS},
    ),
    Method(
        "contrastive-memory",
        "recipe",
        f"all pairs of the batch and with the last {MEMORY} embeddings",
        _with_memory(_contrastive),
        {"margin": CONTRASTIVE_MARGINS},
    ),
    Method(
        "batch-hard-memory",
        "recipe",
        "batch-hard-soft, in the batch and, late in the training, against past embeddings",
        _with_memory(_batch_hard_soft),
        LATE_MEMORY,
    ),
    Method(
        "distance-weighted-margin-memory",
        "recipe",
        "distance-weighted-margin, in the batch and, late in the training, against past embeddings",
        _with_memory(_distance_weighted_margin),
        LATE_MEMORY | BOUNDARY_AS_FOUND,
    ),
    Method(
        "batch-hard-look-alikes",
        "recipe",
        "batch-hard-soft where look-alikes, sought anew every epoch, meet in groups of four",
        _in_look_alikes(_batch_hard_soft, BY_MEANS),
        SHARES,
    ),
    Method(
        "distance-weighted-margin-look-alikes",
        "recipe",
        "distance-weighted-margin where look-alikes, sought every epoch, meet in groups of four",
        _in_look_alikes(_distance_weighted_margin, BY_MEANS),
        SHARES | BOUNDARY_AS_FOUND,
    ),
    Method(
        "batch-hard-offline",
        "recipe",
        "batch-hard-soft where owners of nearest impostors, mined by epoch, meet in fours",
        _in_look_alikes(_batch_hard_soft, BY_IMAGES),
        SHARES,
    ),
    Method(
        "distance-weighted-margin-offline",
        "recipe",
        "distance-weighted-margin where owners of nearest impostors, mined by epoch, meet in fours",
        _in_look_alikes(_distance_weighted_margin, BY_IMAGES),
        SHARES | BOUNDARY_AS_FOUND,
    ),
]
