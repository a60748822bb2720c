"""Trainings that one process and several run alike; batches of 12 identities of all together."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_metric_learning.losses as pml_losses
import pytorch_metric_learning.miners as pml_miners
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from metricface.classifiers import Softmax
from metricface.diagnostics import BatchMonitor
from metricface.distributed import rank, world_size
from metricface.losses import CenterLoss, MarginLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import DistanceWeightedMiner, RandomMiner, SemiHardMiner
from metricface.recipes import (
    Fit,
    LookAlikes,
    Objective,
    SoftmaxThenTriplet,
    deepid2,
    fit,
    softmax_then_triplet,
)
from metricface.samplers import HardIdentitySampler, PKSampler
from tests.recipes.toys import DIM, KilledError, Noise, people, quick

WIDTH, COUNT = 12, 26
DATA, UNSEEN = people(COUNT, 3), people(7, 3, seed=1)


class Net(nn.Module):
    """A small network in float64; what one process makes of another's rounding stays small."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 16), *(inner or (nn.Tanh(),)), nn.Linear(16, DIM)
        ).double()

    def forward(self, images: Tensor) -> Tensor:
        embedded: Tensor = self.layers(images.flatten(1).double())
        return embedded


class Stop:
    """An augmentation that changes nothing, and stops the training at its so many-th call."""

    def __init__(self) -> None:
        self.countdown = math.inf

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        if self.countdown <= 0:
            raise KilledError
        self.countdown -= 1
        return images


class Mortal(Noise):
    """An augmentation that draws, and on one rank kills its process."""

    #: When it was called last.
    last = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        Mortal.last = time.monotonic()
        if self.countdown <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(images, generator)


def seeded(number: int = 0) -> None:
    """Every rank draws other weights: those of rank 0 count."""
    torch.manual_seed(number + 100 * rank())


def sampler(k: int = 2) -> PKSampler:
    return PKSampler(DATA.labels, WIDTH // world_size(), k)


def trained(model: nn.Module, loss: Any, steps: int = 6, **given: Any) -> Fit:
    return fit(
        model,
        DATA,
        loss,
        steps=steps,
        **{"sampler": sampler(), "validation": UNSEEN, "options": quick(lr=0.01), **given},
    )


def triplets(folder: Path | None = None, stop: Stop | None = None, **options: Any) -> Fit:
    """With draws, a memory, a moving average, a schedule of its own."""
    seeded()
    given = {
        "lr": 0.01,
        "ema": 0.8,
        "evaluate_every": 3,
        "augment": Stop() if stop is None else stop,
        **options,
    }
    return trained(
        Net(),
        TripletLoss(1.0),
        steps=9,
        miner=RandomMiner(2),
        memory=CrossBatchMemory(40, DIM, warmup=20),
        folder=folder,
        options=quick(**given),
    )


def three_losses() -> Fit:
    """One is split by anchor, two are not."""
    seeded()
    losses = [Softmax(COUNT, DIM), CenterLoss(COUNT, DIM), TripletLoss(1.0)]
    objective = Objective(
        losses,
        weights=[1.0, 0.5, 0.7],
        miner=SemiHardMiner(5.0, negative="random"),
        memory=CrossBatchMemory(40, DIM),
        memory_weight=0.3,
    )
    return trained(Net(), objective.double())


def margins() -> Fit:
    """A loss with parameters of its own, and a bound on the gradient of all."""
    seeded()
    loss = MarginLoss(num_classes=COUNT, nu=0.1).double()
    options = quick(lr=0.01, loss_lr=0.1, clip=0.1)
    return trained(Net(), loss, miner=DistanceWeightedMiner(), options=options)


def foreign() -> Fit:
    """A miner that draws from torch's global generator, and a worker that fetches."""
    seeded()
    return trained(
        Net(),
        pml_losses.TripletMarginLoss(),
        miner=pml_miners.DistanceWeightedMiner(),
        validation=None,
        options=quick(lr=0.01, workers=1),
    )


def patient() -> Fit:
    """Ends after two evaluations that are no better than the first."""
    seeded()
    options = quick(
        lr=0.01, evaluate=lambda x, y: {"gap": -float(x.norm())}, patience=2, restore_best=True
    )
    return trained(Net(), TripletLoss(1.0), steps=30, options=options)


def classifier_alone() -> Fit:
    """Nothing of the network is trained, which DDP would refuse."""
    seeded()
    return trained(Net().requires_grad_(False), Softmax(COUNT, DIM).double())


def look_alikes() -> Fit:
    seeded()
    hard = HardIdentitySampler(
        DATA.labels, WIDTH // world_size(), 2, np.empty((COUNT, 0), int), group=2
    )
    return trained(
        Net(), TripletLoss(1.0), steps=12, sampler=hard, look_alikes=LookAlikes(warmup=1, k=3)
    )


def monitored() -> tuple[Fit, list[dict[str, float]]]:
    """What a monitor on rank 0 sees."""
    seeded()
    records: list[dict[str, float]] = []
    monitor = BatchMonitor(records.append, margin=1.0) if rank() == 0 else None
    options = quick(lr=0.01, monitor=monitor)
    done = trained(Net(), TripletLoss(1.0), miner=RandomMiner(), options=options)
    return done, records


def in_chunks() -> tuple[Fit, list[int]]:
    """A network that is in DDP already; and how often it has reduced by each step."""
    seeded()
    reduced, by_step = [0], list[int]()

    def count(group: Any, bucket: Any) -> Any:
        reduced[0] += 1
        return allreduce_hook(group, bucket)

    count.__annotations__.clear()  # DDP looks at them

    def note(images: Tensor, generator: torch.Generator) -> Tensor:
        by_step.append(reduced[0])
        return images

    model: nn.Module = Net()
    if world_size() > 1:
        model = DistributedDataParallel(model)
        model.register_comm_hook(dist.group.WORLD, count)
    options = quick(lr=0.01, chunk=5, augment=note)
    done = trained(model, TripletLoss(1.0), miner=SemiHardMiner(5.0), options=options)
    return done, by_step


def two_stages(*, frozen: bool, given: bool = False) -> SoftmaxThenTriplet:
    seeded()
    model: nn.Module = Net()
    if given and world_size() > 1:
        model = DistributedDataParallel(model)
    return softmax_then_triplet(
        model,
        DATA,
        sampler=sampler(),
        steps=(4, 4),
        head=lambda classes, dim: Softmax(classes, dim).double(),
        loss=TripletLoss(1.0),
        projection=nn.Linear(DIM, 4).double() if frozen else None,
        frozen=frozen,
        validation=UNSEEN,
        options=quick(lr=0.01),
    )


def identify_and_verify() -> Fit:
    """The classifier is made inside, in float32."""
    seeded()
    return deepid2(
        Net(),
        DATA,
        sampler=sampler(),
        steps=6,
        weight=0.5,
        refresh_every=300,
        window=200,
        memory=CrossBatchMemory(40, DIM),
        validation=UNSEEN,
        options=quick(lr=0.01),
    )


def restless(folder: Path, who: int = 0, batch: float = math.inf) -> Fit:
    """With dropout, batch normalisation and augmentation; a rank may die at a batch."""
    seeded()
    model = Net(nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), *_wide()).float()
    noise = Mortal()
    if rank() == who:
        noise.countdown = batch
    return trained(
        Single(model),
        [TripletLoss(1.0), Softmax(COUNT, DIM)],
        steps=8,
        miner=RandomMiner(),
        folder=folder,
        options=quick(augment=noise, evaluate_every=3, ema=0.9),
    )


def _wide() -> list[nn.Module]:
    """Enough weights that DistributedDataParallel takes several buckets."""
    return [nn.Linear(16, 600), nn.ReLU(), nn.Linear(600, 600), nn.ReLU(), nn.Linear(600, 16)]


class Single(nn.Module):
    """A network in float32: there the order of a sum shows."""

    def __init__(self, model: Net) -> None:
        super().__init__()
        self.layers = model.layers

    def forward(self, images: Tensor) -> Tensor:
        embedded: Tensor = self.layers(images.flatten(1))
        return embedded


#: What ends with the weights of one process.
TRAININGS: dict[str, Callable[[], Fit | SoftmaxThenTriplet]] = {
    "triplets": triplets,
    "three losses": three_losses,
    "margins": margins,
    "foreign": foreign,
    "patient": patient,
    "classifier alone": classifier_alone,
    "look-alikes": look_alikes,
    "monitored": lambda: monitored()[0],
    "in chunks": lambda: in_chunks()[0],
    "softmax, then triplets": lambda: two_stages(frozen=False),
    "softmax, then triplets, in DDP": lambda: two_stages(frozen=False, given=True),
    "softmax, then a projection, in DDP": lambda: two_stages(frozen=True, given=True),
    "deepid2": identify_and_verify,
}


def outcome(done: Fit | SoftmaxThenTriplet) -> dict[str, Any]:
    """Weights, and what was measured on the way."""
    weights = [each.double().flatten() for each in done.model.state_dict().values()]
    kept = [[row["step"], row.get("gap", 0.0), row["loss"]] for row in done.history]
    rows = [[-1.0 if math.isnan(value) else value for value in row] for row in kept]
    return {"weights": torch.cat(weights).tolist(), "rows": rows}
