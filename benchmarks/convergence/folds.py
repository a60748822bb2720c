"""Which identities are trained on and which are held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.convergence.settings import Settings
from metricface.data import (
    ImageSet,
    affine_jitter,
    glyphs,
    identity_folds,
    identity_split,
    orl_faces,
)

SPLIT_SEED = 0
HELD_JITTER_SEED = 0
GLYPH_FRACTIONS = (0.65, 0.15, 0.20)
ORL_SIZE = (28, 23)


class Fold(NamedTuple):
    """Images ``[N, 1, H, W]`` in 0..1 and their identities ``[N]``; the two sides share none."""

    train_images: Tensor
    train_labels: Tensor
    held_images: Tensor
    held_labels: Tensor


def load(data: str) -> ImageSet:
    """The images of a data set by name.

    Args:
        data: ``"glyphs"`` (28×28) or ``"orl"`` (area-averaged to a quarter, 28×23).

    Raises:
        ValueError: another name.
    """
    if data == "glyphs":
        return glyphs()
    if data == "orl":
        return orl_faces(size=ORL_SIZE)
    raise ValueError(f"data must be 'glyphs' or 'orl', got {data!r}")


def make_folds(images: ImageSet, settings: Settings) -> list[Fold]:
    """Identity-disjoint folds, the same for every method and seed.

    One fold is a split of the identities into 65 % to train, 15 % for validation and 20 % for
    the test. Several folds are cross-validation: fold ``f`` is the test, and where validation
    identities are evaluated, fold ``f + 1`` is held out too. The identities of the test are
    never trained on, whichever side is evaluated.

    Args:
        images: the whole data set.
        settings: number of folds, the side evaluated, the device.

    Returns:
        One :class:`Fold` for each of ``settings.folds``, on the device.
    """
    folds = []
    for train, held in _indices(images.labels, settings):
        train_images, train_labels = _tensors(images, train, settings)
        held_images, held_labels = _tensors(images, held, settings)
        if settings.jitter_held:
            held_images = jitter(
                held_images, settings, torch.Generator().manual_seed(HELD_JITTER_SEED)
            )
        folds.append(Fold(train_images, train_labels, held_images, held_labels))
    return folds


def jitter(images: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    """The augmentation of the run.

    Args:
        images: ``[B, 1, H, W]``.
        settings: its strength.
        generator: where its random numbers come from.
    """
    return affine_jitter(
        images,
        degrees=settings.degrees,
        scale=settings.scale,
        shift=settings.shift,
        padding=settings.padding,
        generator=generator,
    )


def _indices(
    labels: npt.NDArray[np.int64], settings: Settings
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Training and held-out sample indices of each fold."""
    validating = settings.held == "validation"
    if settings.folds == 1:
        train, validation, test = identity_split(labels, GLYPH_FRACTIONS, seed=SPLIT_SEED)
        return [(train, validation if validating else test)]
    tests = identity_folds(labels, settings.folds, seed=SPLIT_SEED)
    everything = np.arange(len(labels))
    chosen = []
    for fold, test in enumerate(tests):
        after = tests[(fold + 1) % settings.folds]
        out = np.concatenate([test, after]) if validating else test
        chosen.append((np.setdiff1d(everything, out), after if validating else test))
    return chosen


def _tensors(
    images: ImageSet, indices: npt.NDArray[np.int64], settings: Settings
) -> tuple[Tensor, Tensor]:
    subset = images.subset(indices)
    device = torch.device(settings.device)
    return subset.tensor().to(device), torch.from_numpy(subset.labels).to(device)
