"""A small made-up data set, so that a whole run takes a second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from benchmarks.convergence.folds import Fold, make_folds
from benchmarks.convergence.settings import Settings
from metricface.data import ImageSet

IDENTITIES, IMAGES, SIDE = 60, 6, 12


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small lose more to waking threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def images() -> ImageSet:
    """Sixty random patterns, six noisy pictures of each."""
    random = np.random.default_rng(0)
    patterns = random.uniform(60, 196, (IDENTITIES, 1, SIDE, SIDE))
    noisy = patterns + random.normal(0, 20, (IDENTITIES, IMAGES, SIDE, SIDE))
    pixels = noisy.clip(0, 255).astype(np.uint8).reshape(-1, SIDE, SIDE)
    labels = np.repeat(np.arange(IDENTITIES), IMAGES)
    return ImageSet(pixels, labels, tuple(f"pattern {i}" for i in range(IDENTITIES)))


@pytest.fixture
def settings() -> Settings:
    """Six steps, saved every second one; test side of 12 identities."""
    return Settings("glyphs", steps=6, eval_every=2, p=5, k=3, dim=8)


@pytest.fixture
def fold(images: ImageSet, settings: Settings) -> Fold:
    """The one split of the patterns."""
    return make_folds(images, settings)[0]
