"""One of each sampler, for the promises that all of them share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metricface.samplers import (
    GroupedPKSampler,
    HardIdentitySampler,
    IdentitySampler,
    PKSampler,
)

NAMES = [f"person {n}" for n in np.random.default_rng(0).integers(0, 23, 120)]
ALIKE = np.random.default_rng(1).integers(-1, 23, (23, 6))

SAMPLERS: dict[str, Callable[[int], IdentitySampler]] = {
    "identities": lambda seed: PKSampler(NAMES, 4, 3, seed=seed),
    "images": lambda seed: PKSampler(NAMES, 4, 3, coverage="images", seed=seed),
    "hard": lambda seed: HardIdentitySampler(NAMES, 4, 3, ALIKE, hard_fraction=0.75, seed=seed),
    "grouped": lambda seed: GroupedPKSampler(
        NAMES, 4, 3, groups=[int(name[7:]) % 3 for name in NAMES], seed=seed
    ),
}
