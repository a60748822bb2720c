"""What a row of the table is, and what it is given to train with."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from torch import Tensor, nn

from benchmarks.convergence.folds import Fold, Jitter
from benchmarks.convergence.network import SmallConvNet
from benchmarks.convergence.settings import Settings
from metricface.memory import CrossBatchMemory
from metricface.recipes import BatchSampler, LookAlikes, Objective, Options, fit
from metricface.recipes.random_state import seeded
from metricface.samplers import PKSampler

Family: TypeAlias = Literal["triplet", "pair", "classifier", "recipe", "peer"]
Miner: TypeAlias = Callable[..., Sequence[Tensor]]
Row: TypeAlias = "dict[str, float]"
Values: TypeAlias = Mapping[str, float]
"""The values of a method's parameters, its learning rate among them."""

LEARNING_RATES = (1e-3, 2e-3, 5e-3, 5e-4)


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

    def model(self) -> SmallConvNet:
        """The network with the initial weights of this seed: the same for every method."""
        with seeded(self.seed):
            return SmallConvNet(self.dim).to(self.settings.device)

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
        """The default and ``count - 1`` other settings, drawn from all combinations.

        The draw depends on the method's name alone: a larger budget tries the same and more.

        Raises:
            ValueError: there are not so many combinations.

        Example:
            >>> method = Method("m", "pair", "", train=None, space={"margin": (0.2, 0.5)})
            >>> method.candidates(1), len(method.candidates(6))
            ([{'margin': 0.2, 'lr': 0.001}], 6)
        """
        space = {**self.space, "lr": LEARNING_RATES}
        every = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
        if not 1 <= count <= len(every):
            raise ValueError(f"{self.name} can be tried in 1 to {len(every)} settings, not {count}")
        order = np.random.default_rng(zlib.crc32(self.name.encode())).permutation(len(every) - 1)
        return [every[0], *(every[1 + number] for number in order[: count - 1])]


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
