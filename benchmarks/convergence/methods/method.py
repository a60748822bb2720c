"""What a row of the table is, and what it is given to train with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from scipy.stats import qmc
from torch import Tensor, nn

from benchmarks.convergence.folds import Fold, Jitter
from benchmarks.convergence.network import NETWORKS
from benchmarks.convergence.settings import Settings
from metricface.memory import CrossBatchMemory
from metricface.recipes import BatchSampler, LookAlikes, Objective, Options, fit
from metricface.recipes.resuming.random_state import seeded
from metricface.samplers import PKSampler

Family: TypeAlias = Literal["triplet", "pair", "classifier", "recipe", "peer"]
Miner: TypeAlias = Callable[..., Sequence[Tensor]]
Row: TypeAlias = "dict[str, float]"
Values: TypeAlias = Mapping[str, float]
"""The values of a method's parameters, its learning rate among them."""
Space: TypeAlias = "dict[str, tuple[float, ...]]"
"""The values that are tried for each parameter."""

LEARNING_RATES = (1e-3, 2e-3, 5e-3, 5e-4)
HINGE_MARGINS = (0.2, 0.1, 0.5, 1.0)
CONTRASTIVE_MARGINS = (1.0, 0.5, 0.75, 1.25)
PROXY_LEARNING_RATES = (1e-1, 1e-2)
SCALES = (30.0, 16.0, 64.0, 10.0)  # 8 cannot part the 5,000 classes of han


@dataclass(frozen=True)
class Setup:
    """What every method is given alike: data, network, sampler, augmentation, seed.

    Attributes:
        settings: of the run.
        fold: what to train on and what to watch.
        seed: of the initial weights, the batches, the augmentation and the miner.
        folder: for checkpoints.
        progress: show a bar.
    """

    settings: Settings
    fold: Fold
    seed: int
    folder: Path
    progress: bool = True

    @property
    def classes(self) -> int:
        """Number of training identities."""
        return len(np.unique(self.fold.train.labels))

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return self.settings.dim

    def model(self) -> nn.Module:
        """The network with the initial weights of this seed: the same for every method."""
        with seeded(self.seed):
            return NETWORKS[self.settings.network](self.dim).to(self.settings.device)

    def sampler(self) -> PKSampler:
        """The batches of this seed: the same for every method."""
        return PKSampler(self.fold.train.labels, self.settings.p, self.settings.k, seed=self.seed)

    def options(self, values: Values) -> Options:
        """How all are trained; only the learning rates are the method's own.

        The last weights count, never those that did best on the identities that are reported.
        """
        return Options(
            lr=values["lr"],
            loss_lr=values.get("loss_lr"),
            augment=Jitter(self.settings),
            evaluate_every=self.settings.eval_every,
            evaluate=self.fold.evaluate,
            restore_best=False,
            seed=self.seed,
            progress=self.progress,
        )

    def fit(
        self,
        loss: nn.Module | Sequence[nn.Module],
        values: Values,
        *,
        miner: Miner | None = None,
        memory: CrossBatchMemory | None = None,
        sampler: BatchSampler | None = None,
        look_alikes: LookAlikes | None = None,
    ) -> Trained:
        """Train in one stage."""
        model = self.model()
        done = fit(
            model,
            self.fold.train,
            loss if isinstance(loss, Objective) else Objective(loss, miner=miner, memory=memory),
            sampler=self.sampler() if sampler is None else sampler,
            steps=self.settings.steps,
            look_alikes=look_alikes,
            validation=self.fold.held,
            folder=self.folder,
            options=self.options(values),
        )
        return Trained(done.model, done.history)


@dataclass(frozen=True)
class Trained:
    """The network at its end and one row per evaluation."""

    model: nn.Module
    rows: list[Row]


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: as typed after ``--methods`` and written in every table.
        family: what it is shown with.
        rule: what it does, in one line; a run folder refuses to continue when it changed.
        train: runs it with the values of its parameters.
        space: the values tried for each parameter; the first is the default.
    """

    name: str
    family: Family
    rule: str
    train: Callable[[Setup, Values], Trained] = field(repr=False)
    space: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def default(self) -> dict[str, float]:
        """The values it is run with unless it is tuned."""
        return self.candidates(1)[0]

    def candidates(self, count: int) -> list[dict[str, float]]:
        """The default and ``count - 1`` other settings, spread over the combinations.

        They follow a Sobol sequence over the parameters, so that few already meet most values of
        each. Methods with as many values for as many parameters try the same places of their
        tables, and a larger budget tries the same settings and more. A method that has not so
        many is tried in all it has.

        Raises:
            ValueError: fewer than one.

        Example:
            >>> method = Method("m", "pair", "", train=None, space={"margin": (0.2, 0.5)})
            >>> method.candidates(1), len(method.candidates(6)), len(method.candidates(100))
            ([{'margin': 0.2, 'lr': 0.001}], 6, 8)
        """
        if count < 1:
            raise ValueError(f"{self.name} must be tried in a setting or more, got {count}")
        space = {**self.space, "lr": LEARNING_RATES}
        sizes = tuple(len(values) for values in space.values())
        places = islice(_spread(sizes), min(count, prod(sizes)))
        columns = list(space.items())
        return [
            {name: values[at] for (name, values), at in zip(columns, place, strict=True)}
            for place in places
        ]


def _spread(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every place of a table with so many values per parameter, evenly from the first on."""
    sequence, met = qmc.Sobol(len(sizes), seed=0), {(0,) * len(sizes)}
    yield from met
    while len(met) < prod(sizes):
        for point in sequence.random(16):
            place = tuple(int(at) for at in point * sizes)
            if place not in met:
                met.add(place)
                yield place


Loss: TypeAlias = "nn.Module | Sequence[nn.Module]"
Ask: TypeAlias = "Callable[[Setup, Values], tuple[Loss, Miner | None]]"
"""Makes a loss (or several, to add up) and a miner."""


def trained_on(ask: Ask) -> Callable[[Setup, Values], Trained]:
    """A method of one stage, from what it asks of a batch."""

    def train(setup: Setup, values: Values) -> Trained:
        with seeded(setup.seed + 1):  # class weights; the network's are drawn from the seed
            loss, miner = ask(setup, values)
        return setup.fit(loss, values, miner=miner)

    return train
