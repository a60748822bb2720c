"""Trainings of a second: ten identities of 8 × 8 pixels, small networks, a switch that kills."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metricface.data import ImageSet
from metricface.recipes import Fit, Options, fit
from metricface.samplers import PKSampler

DIM = 8
IDENTITIES = 10


def people(identities: int = IDENTITIES, each: int = 4, seed: int = 0) -> ImageSet:
    """Images of one identity share a pattern, under much noise."""
    draw = np.random.default_rng(seed)
    pattern = draw.integers(0, 128, (identities, 1, 8, 8))
    noise = draw.integers(0, 128, (identities, each, 8, 8))
    pixels = (pattern + noise).astype(np.uint8).reshape(-1, 8, 8)
    names = tuple(f"identity {number}" for number in range(identities))
    return ImageSet(pixels, np.repeat(np.arange(identities), each), names)


TRAIN, UNSEEN = people(), people(6, 4, seed=1)


def network(seed: int = 0) -> nn.Sequential:
    """A linear embedding, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, DIM))


def restless_network(seed: int = 0) -> nn.Sequential:
    """With dropout, which draws, and batch normalisation, which remembers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(16, DIM),
        )


def sampler(p: int = 5, k: int = 4, seed: int = 0) -> PKSampler:
    """Two batches in an epoch."""
    return PKSampler(TRAIN.labels, p, k, seed=seed)


def spread(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """A measurement that costs nothing and shows any difference between two runs."""
    unit = torch.nn.functional.normalize(embeddings.double())
    same = labels[:, None] == labels
    similarity = unit @ unit.T
    return {"gap": float(similarity[same].mean() - similarity[~same].mean())}


def quick(**changed: Any) -> Options:
    """Options for tests: no bar, a cheap measurement after every second step."""
    given: dict[str, Any] = {
        "evaluate_every": 2,
        "evaluate": spread,
        "metric": "gap",
        "progress": False,
        "restore_best": False,
    }
    return Options(**{**given, **changed})


def train(loss: Any, steps: int = 2, **changed: Any) -> Fit:
    """A short training of the linear network; arguments of ``fit`` as given."""
    given: dict[str, Any] = {
        "model": network(),
        "data": TRAIN,
        "sampler": sampler(),
        "options": quick(),
    }
    return fit(loss=loss, steps=steps, **{**given, **changed})


class KilledError(Exception):
    """What the switch raises."""


class Noise:
    """An augmentation that draws, and dies once it has been asked ``countdown`` times."""

    def __init__(self, amount: float = 0.1) -> None:
        self.amount = amount
        self.countdown = math.inf  # no argument: when to die is no setting of a training

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        if self.countdown <= 0:
            raise KilledError
        self.countdown -= 1
        return images + self.amount * torch.randn(images.shape, generator=generator)


def without_seconds(rows: list[dict[str, float]]) -> list[dict[str, float | str]]:
    """History rows that can be compared: no times, and NaN equal to itself."""
    return [
        {
            name: "nan" if math.isnan(value) else value
            for name, value in row.items()
            if not name.endswith("seconds")
        }
        for row in rows
    ]


def bits(values: Tensor) -> Tensor:
    """What can be compared by ``==``, NaN included."""
    return (
        values.contiguous().view(torch.uint8) if values.ndim else values.view(1).view(torch.uint8)
    )


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Where two nested states differ by as much as a bit; times do not count."""
    if name.endswith("seconds"):
        return []
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [d for key in one for d in differences(one[key], other[key], f"{name}.{key}")]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        if len(one) != len(other):
            return [f"{name}: {len(one)} entries, not {len(other)}"]
        pairs = enumerate(zip(one, other, strict=True))
        return [d for n, (a, b) in pairs for d in differences(a, b, f"{name}[{n}]")]
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.dtype == other.dtype and torch.equal(bits(one), bits(other))
    else:
        same = type(one) is type(other) and (one == other or (one != one and other != other))
    return [] if same else [f"{name}: {one!r} is not {other!r}"]
