"""Killed after any checkpoint, a training ends as if it had never stopped: bit for bit."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, SequentialLR, StepLR

from metricface.classifiers import ArcFace, ASoftmax, GBCosFace, LSoftmax, Softmax
from metricface.losses import CenterLoss, MarginLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchAllMiner, BatchHardMiner
from metricface.recipes import (
    LookAlikes,
    Objective,
    Options,
    deepid2,
    fit,
    in_defense_schedule,
    softmax_then_triplet,
)
from metricface.samplers import HardIdentitySampler
from metricface.types import Triplets
from tests.cases import RANDOM_MINERS
from tests.recipes.toys import (
    DIM,
    IDENTITIES,
    TRAIN,
    UNSEEN,
    KilledError,
    Noise,
    differences,
    network,
    quick,
    restless_network,
    sampler,
)

STEPS = 7
Run = Callable[[Path, Noise], nn.Module]
"""A whole training, built from nothing: into this folder, with this augmentation."""


def run(
    loss: Callable[[], Any],
    *,
    miner: Callable[[], Any] | None = None,
    memory: int | None = None,
    model: Callable[[], nn.Module] = network,
    weights: tuple[float, ...] | None = None,
    **options: Any,
) -> Run:
    """A training by ``fit``; every part is made anew each time."""

    def train(folder: Path, noise: Noise) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            objective = Objective(
                loss(),
                weights=weights,
                miner=None if miner is None else miner(),
                memory=None if memory is None else CrossBatchMemory(memory, DIM, warmup=20),
            )
        return fit(
            model(),
            TRAIN,
            objective,
            sampler=sampler(),
            steps=STEPS,
            validation=UNSEEN,
            folder=folder,
            options=quick(augment=noise, evaluate_every=1, **options),
        ).model

    return train


class RunningScaleLoss(nn.Module):
    """Remembers in plain attributes, as other libraries do: a tensor, a count, a flag."""

    def __init__(self) -> None:
        super().__init__()
        self.typical = torch.zeros(DIM)
        self.batches = 0
        self.settled = False
        self.triplet = TripletLoss()

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.batches += 1
        self.settled = self.settled or self.batches > 3
        self.typical = self.typical + (embeddings.detach() - self.typical).mean(0) / self.batches
        value: torch.Tensor = self.triplet(embeddings - self.typical, labels)
        return value * (1 if self.settled else 0.5) / self.batches


def haphazard(embeddings: torch.Tensor, labels: torch.Tensor) -> Triplets:
    """Five of all triplets, drawn as three libraries draw."""
    every = BatchAllMiner(math.inf)(embeddings, labels)
    draws = [np.random.rand, random.random, lambda: float(torch.rand(1)), np.random.rand]
    chosen = torch.tensor([int(draw() * len(every.anchor)) for draw in draws])
    return Triplets(*(part[chosen] for part in every))


def warm_then_fall(optimizer: torch.optim.Optimizer) -> SequentialLR:
    parts = [StepLR(optimizer, 2, gamma=2.0), CosineAnnealingLR(optimizer, 4)]
    return SequentialLR(optimizer, parts, milestones=[3])


MINED = {
    f"our miner, {name}": run(TripletLoss, miner=partial(make, seed=3))
    for name, make in RANDOM_MINERS.items()
}
THEIRS = {
    "their triplet miner": run(TripletLoss, miner=pml_miners.TripletMarginMiner),
    "their distance-weighted miner": run(TripletLoss, miner=pml_miners.DistanceWeightedMiner),
    "their loss draws triplets": run(
        lambda: pml_losses.TripletMarginLoss(triplets_per_anchor=2), model=restless_network
    ),
    "their proxies": run(lambda: pml_losses.ProxyAnchorLoss(IDENTITIES, DIM)),
    "their ArcFace": run(lambda: pml_losses.ArcFaceLoss(IDENTITIES, DIM)),
    "their margin loss": run(lambda: pml_losses.MarginLoss(learn_beta=True, num_classes=10)),
    "their memory": run(
        lambda: pml_losses.CrossBatchMemory(pml_losses.ContrastiveLoss(), DIM, memory_size=50)
    ),
    "a miner that draws from every global generator": run(TripletLoss, miner=lambda: haphazard),
    "a foreign loss that keeps its own books": run(RunningScaleLoss),
    "our memory, their loss and miner": run(
        pml_losses.TripletMarginLoss, miner=pml_miners.DistanceWeightedMiner, memory=50
    ),
}
LOSSES = {
    "triplet": run(TripletLoss),
    "center loss": run(lambda: [Softmax(IDENTITIES, DIM), CenterLoss(IDENTITIES, DIM)]),
    "A-Softmax, annealed": run(lambda: ASoftmax(IDENTITIES, DIM)),
    "L-Softmax, annealed": run(lambda: LSoftmax(IDENTITIES, DIM)),
    "GB-CosFace": run(lambda: GBCosFace(IDENTITIES, DIM)),
    "margin loss": run(lambda: MarginLoss(num_classes=IDENTITIES, nu=0.01), loss_lr=0.1),
    "memory": run(TripletLoss, miner=partial(RANDOM_MINERS["random"], seed=1), memory=50),
}
OPTIONS = {
    "dropout and batch normalisation": run(TripletLoss, model=restless_network),
    "moving average": run(TripletLoss, model=restless_network, ema=0.7),
    "In Defense's schedule": run(TripletLoss, schedule=in_defense_schedule(STEPS, 0.3)),
    "cosine": run(TripletLoss, schedule=partial(CosineAnnealingLR, T_max=STEPS)),
    "one cycle": run(TripletLoss, schedule=partial(OneCycleLR, max_lr=0.1, total_steps=STEPS)),
    "schedules in sequence": run(TripletLoss, schedule=warm_then_fall),
    "momentum, clipped": run(
        TripletLoss, optimizer=partial(torch.optim.SGD, momentum=0.9), lr=0.1, clip=0.01
    ),
    "patience": run(TripletLoss, patience=4, restore_best=True, lr=1.0),
    "bfloat16": run(TripletLoss, model=restless_network, amp=torch.bfloat16),
    "float16, overflowing at first": run(TripletLoss, weights=(100.0,), amp=torch.float16),
    "chunks": run(TripletLoss, model=restless_network, chunk=7),
}


def look_alikes(folder: Path, noise: Noise) -> nn.Module:
    """Five batches in an epoch, and a search before the second epoch and the third."""
    return fit(
        network(),
        TRAIN,
        TripletLoss(),
        miner=BatchHardMiner(),
        sampler=HardIdentitySampler(TRAIN.labels, 4, 2, np.empty((IDENTITIES, 0), int), group=2),
        steps=12,
        look_alikes=LookAlikes(warmup=1, k=3, by="sample"),
        folder=folder,
        options=quick(augment=noise, evaluate_every=1),
    ).model


def look_alikes_now_and_then(folder: Path, noise: Noise) -> nn.Module:
    """A search before every other epoch: the one between goes on with the same list."""
    return fit(
        network(),
        TRAIN,
        TripletLoss(),
        sampler=HardIdentitySampler(TRAIN.labels, 5, 2, np.empty((IDENTITIES, 0), int)),
        steps=24,
        look_alikes=LookAlikes(every=2, warmup=0, k=4),
        folder=folder,
        options=quick(augment=noise, evaluate_every=1),
    ).model


def both_stages(
    folder: Path, noise: Noise, *, frozen: bool, options: Callable[..., Options] = quick
) -> nn.Module:
    """Three steps of softmax, four of triplets."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        projection = nn.Linear(DIM, 4)
    return softmax_then_triplet(
        restless_network(),
        TRAIN,
        sampler=sampler(),
        steps=(3, 4),
        head=ArcFace,
        projection=projection,
        frozen=frozen,
        memory=CrossBatchMemory(40, 4),
        validation=UNSEEN,
        folder=folder,
        options=options(augment=noise, evaluate_every=1, restore_best=True),
    ).model


def identified_and_verified(folder: Path, noise: Noise) -> nn.Module:
    """The margin is set anew every third step."""
    return deepid2(
        network(),
        TRAIN,
        sampler=sampler(),
        steps=STEPS,
        refresh_every=1000,
        window=600,
        memory=CrossBatchMemory(40, DIM),
        folder=folder,
        options=quick(augment=noise, evaluate_every=1),
    ).model


RECIPES: dict[str, Run] = {
    "look-alikes": look_alikes,
    "look-alikes now and then": look_alikes_now_and_then,
    "softmax, then triplets": partial(both_stages, frozen=False),
    "softmax, then triplets on a frozen trunk": partial(both_stages, frozen=True),
    "DeepID2": identified_and_verified,
}
RUNS = MINED | THEIRS | LOSSES | OPTIONS | RECIPES


def checkpoints(folder: Path) -> dict[str, Any]:
    """All that was saved in a run folder and its stages."""
    files = sorted(folder.rglob("*.pt"))
    assert files
    return {str(f.relative_to(folder)): torch.load(f, weights_only=True) for f in files}


def killed_and_resumed(train: Run, folder: Path, batches: int) -> tuple[nn.Module, int]:
    """Die after so many batches, go on, die again, until it is done; and how often it died."""
    deaths = 0
    while True:
        noise = Noise()
        noise.countdown = batches
        try:
            return train(folder, noise), deaths
        except KilledError:
            deaths += 1


@pytest.mark.parametrize("name", RUNS)
def test_killed_after_every_checkpoint(name: str, tmp_path: Path) -> None:
    whole = RUNS[name](tmp_path / "whole", Noise())
    model, deaths = killed_and_resumed(RUNS[name], tmp_path / "killed", batches=1)
    assert deaths >= 3
    assert differences(model.state_dict(), whole.state_dict()) == []
    assert differences(checkpoints(tmp_path / "killed"), checkpoints(tmp_path / "whole")) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_between_checkpoints(workers: int, tmp_path: Path) -> None:
    """Steps since the last checkpoint are lost and taken again, also those fetched ahead."""

    def train(folder: Path, noise: Noise) -> nn.Module:
        return fit(
            restless_network(),
            TRAIN,
            TripletLoss(),
            sampler=sampler(p=2, k=2),  # five batches in an epoch
            miner=pml_miners.DistanceWeightedMiner(),
            steps=12,
            folder=folder,
            options=quick(augment=noise, evaluate_every=4, workers=workers),
        ).model

    whole = train(tmp_path / "whole", Noise())
    model, deaths = killed_and_resumed(train, tmp_path / "killed", batches=6)
    assert deaths == 2
    assert differences(model.state_dict(), whole.state_dict()) == []
    assert differences(checkpoints(tmp_path / "killed"), checkpoints(tmp_path / "whole")) == []


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    def train(folder: Path, workers: int) -> nn.Module:
        options = quick(augment=Noise(), workers=workers)
        return fit(
            network(), TRAIN, TripletLoss(), sampler=sampler(), steps=4, folder=folder,
            options=options,
        ).model  # fmt: skip

    one, other = train(tmp_path / "0", 0), train(tmp_path / "2", 2)
    assert differences(one.state_dict(), other.state_dict()) == []


def test_the_same_objects_can_be_given_again(tmp_path: Path) -> None:
    """In a notebook, an interrupted cell is run once more with what it had changed already."""

    def again(folder: Path, countdowns: list[float]) -> nn.Module:
        model, noise, seen = restless_network(), Noise(), sampler()
        loss = MarginLoss(num_classes=IDENTITIES)
        for noise.countdown in countdowns:
            try:
                options = quick(augment=noise, evaluate_every=3, ema=0.5)
                fit(model, TRAIN, loss, sampler=seen, steps=8, folder=folder, options=options)
            except KilledError:
                continue
        return model

    whole = again(tmp_path / "whole", [np.inf])
    interrupted = again(tmp_path / "interrupted", [2, 5, np.inf])  # once before any step is saved
    assert differences(interrupted.state_dict(), whole.state_dict()) == []


def test_a_finished_training_returns_at_once(tmp_path: Path) -> None:
    train = RUNS["patience"]
    first = train(tmp_path, Noise())
    written = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    noise = Noise()
    noise.countdown = 0  # not one batch is drawn
    assert differences(train(tmp_path, noise).state_dict(), first.state_dict()) == []
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == written
