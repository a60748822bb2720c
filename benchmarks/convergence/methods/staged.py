"""Recipes: two stages, two losses at once, a memory, look-alikes."""

from __future__ import annotations

import numpy as np

from benchmarks.convergence.methods.method import (
    CONTRASTIVE_MARGINS,
    HINGE_MARGINS,
    Method,
    Setup,
    Trained,
    Values,
    trained_on,
)
from metricface import recipes
from metricface.classifiers import Softmax
from metricface.distances import Euclidean
from metricface.losses import ContrastiveLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner, SemiHardMiner
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


def _memory(setup: Setup) -> CrossBatchMemory:
    return CrossBatchMemory(MEMORY, setup.dim, warmup=MEMORY)


def _semi_hard_memory(setup: Setup, values: Values) -> Trained:
    loss, miner = TripletLoss(values["margin"]), SemiHardMiner(values["margin"])
    return setup.fit(loss, values, miner=miner, memory=_memory(setup))


def _contrastive_memory(setup: Setup, values: Values) -> Trained:
    return setup.fit(ContrastiveLoss(values["margin"]), values, memory=_memory(setup))


def _batch_hard_look_alikes(setup: Setup, values: Values) -> Trained:
    """Half of each batch are look-alikes, in groups of four; the rest is random."""
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
    loss = TripletLoss("soft", distance=Euclidean())
    look_alikes = recipes.LookAlikes(every=1, warmup=2, k=16, images=16)
    miner = BatchHardMiner(distance=Euclidean())
    return setup.fit(loss, values, miner=miner, sampler=sampler, look_alikes=look_alikes)


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
        _semi_hard_memory,
        {"margin": HINGE_MARGINS},
    ),
    Method(
        "contrastive-memory",
        "recipe",
        f"all pairs of the batch and with the last {MEMORY} embeddings",
        _contrastive_memory,
        {"margin": CONTRASTIVE_MARGINS},
    ),
    Method(
        "batch-hard-look-alikes",
        "recipe",
        "batch-hard-soft where look-alikes, sought anew every epoch, meet in groups of four",
        _batch_hard_look_alikes,
        {"share": (0.5, 0.25, 1.0)},
    ),
]
