"""Which identities are trained on and which are held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.convergence.settings import Settings
from metricface.data import (
    ImageSet,
    affine_jitter,
    glyphs,
    identity_folds,
    identity_split,
    image_folder,
    jpeg_quality,
    lfw,
    olivetti,
    orl_faces,
    pixel_count,
)

SPLIT_SEED = 0
HELD_JITTER_SEED = 0
FRACTIONS = (0.65, 0.15, 0.20)
FOLDER_SIZE = (32, 32)
SETS: dict[str, Callable[[], ImageSet]] = {
    "glyphs": glyphs,
    "orl": partial(orl_faces, size=(28, 23)),
    "olivetti": partial(olivetti, size=(28, 28)),
    "lfw": partial(lfw, size=(56, 42), min_images=4),
}


class Held(Dataset[tuple[Tensor, int]]):
    """Held-out images as they are evaluated, float ``[N, 1, H, W]``, and their identities."""

    def __init__(self, images: Tensor, labels: npt.NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


class Fold(NamedTuple):
    """What is trained on and what is held out; the two sides share no identity."""

    train: ImageSet
    held: Held


def load(data: str) -> ImageSet:
    """The images of a data set by name, or of a folder with one folder for each identity.

    Args:
        data: ``"glyphs"`` (28×28), ``"orl"`` (area-averaged to a quarter, 28×23), ``"olivetti"``
            (28×28), ``"lfw"`` (people with four images or more, 56×42), or a path (all resampled
            to 32×32).

    Raises:
        ValueError: neither a name nor a folder; images that cannot be read.
        FileNotFoundError: a set that is neither cached nor could be downloaded.
    """
    if data in SETS:
        return SETS[data]()
    if not Path(data).is_dir():
        raise ValueError(f"data must be {', '.join(SETS)} or a folder, got {data!r}")
    return image_folder(data, size=FOLDER_SIZE).load(progress=True)


def make_folds(images: ImageSet, settings: Settings) -> list[Fold]:
    """Identity-disjoint folds, the same for every method and seed.

    One fold is a split of the identities into 65 % to train, 15 % for validation and 20 % for
    the test. Several folds are cross-validation: fold ``f`` is the test, and where validation
    identities are evaluated, fold ``f + 1`` is held out too. The identities of the test are
    never trained on, whichever side is evaluated.

    Args:
        images: the whole data set.
        settings: number of folds, the side evaluated, what becomes of its images.

    Returns:
        One :class:`Fold` for each of ``settings.folds``.

    Raises:
        ValueError: more identities to train on than there are.
    """
    folds = []
    for train, held in _indices(images.labels, settings):
        some = _some(images.labels, train, settings.identities)
        folds.append(Fold(images.subset(some), _held(images, held, settings)))
    return folds


@dataclass(frozen=True)
class Jitter:
    """The augmentation of a run, of the strength its settings say."""

    settings: Settings

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Jittered images ``[B, 1, H, W]``."""
        return affine_jitter(
            images,
            degrees=self.settings.degrees,
            scale=self.settings.scale,
            shift=self.settings.shift,
            padding=self.settings.padding,
            generator=generator,
        )


def _held(images: ImageSet, indices: npt.NDArray[np.int64], settings: Settings) -> Held:
    """The held-out images, degraded and jittered as the settings say."""
    subset = images.subset(indices)
    if settings.quality is not None:
        subset = jpeg_quality(subset, settings.quality)
    if settings.pixels is not None:
        subset = pixel_count(subset, settings.pixels)
    pictures = subset.tensor()
    if settings.jitter_held:
        generator = torch.Generator().manual_seed(HELD_JITTER_SEED)
        pictures = Jitter(settings)(pictures, generator)
    return Held(pictures, subset.labels)


def _some(
    labels: npt.NDArray[np.int64], train: npt.NDArray[np.int64], identities: int | None
) -> npt.NDArray[np.int64]:
    """The samples of so many of the training identities; fewer are a part of more."""
    if identities is None:
        return train
    there = np.unique(labels[train])
    if identities > len(there):
        raise ValueError(f"there are {len(there)} identities to train on, not {identities}")
    chosen = np.random.default_rng(SPLIT_SEED).permutation(there)[:identities]
    return train[np.isin(labels[train], chosen)]


def _indices(
    labels: npt.NDArray[np.int64], settings: Settings
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Training and held-out sample indices of each fold."""
    validating = settings.held == "validation"
    if settings.folds == 1:
        train, validation, test = identity_split(labels, FRACTIONS, seed=SPLIT_SEED)
        return [(train, validation if validating else test)]
    tests = identity_folds(labels, settings.folds, seed=SPLIT_SEED)
    everything = np.arange(len(labels))
    chosen = []
    for fold, test in enumerate(tests):
        after = tests[(fold + 1) % settings.folds]
        out = np.concatenate([test, after]) if validating else test
        chosen.append((np.setdiff1d(everything, out), after if validating else test))
    return chosen
