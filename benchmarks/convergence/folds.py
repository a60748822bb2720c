"""Which identities are trained on and which are held out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.convergence.settings import Settings
from metricface.data import (
    ImageSet,
    TypefaceSet,
    affine_jitter,
    glyphs,
    han,
    identity_folds,
    identity_split,
    image_folder,
    jpeg_quality,
    lfw,
    olivetti,
    orl_faces,
    pixel_count,
)
from metricface.evaluation import retrieval
from metricface.recipes import unseen_identities

SPLIT_SEED = 0
HELD_JITTER_SEED = 0
FRACTIONS = (0.65, 0.15, 0.20)
TYPEFACE_FRACTIONS = (0.85, 0.045, 0.105)
"""Of the characters of a set with typefaces: it has thousands, and many images of each."""
FAMILY_FRACTIONS = (0.70, 0.15, 0.15)
"""Of the families of typefaces: only those of the first part are trained on."""
VERIFIED_EVERY = 8
"""Of the held-out characters of such a set, how many to one whose pairs are verified."""
FOLDER_SIZE = (32, 32)
SETS: dict[str, Callable[[], ImageSet]] = {
    "glyphs": glyphs,
    "han": partial(han, workers=min(8, os.cpu_count() or 1)),
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


@dataclass(frozen=True)
class BothAxes:
    """Measures unseen characters in all their families of typefaces, and in families never seen.

    Retrieval is among all images, verification among those of every eighth character: tens of
    thousands of genuine pairs are enough, and all hundreds of millions of others take minutes.

    Attributes:
        unseen: bool ``[N]``, which held-out images are of families never seen; where the
            validation side is held out, these are other families than those of the test.
    """

    unseen: Tensor

    def __call__(self, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        """Every metric twice: as it is called, and with ``_unseen_typefaces`` after its name."""
        apart = _measured(embeddings[self.unseen], labels[self.unseen])
        named = {f"{name}_unseen_typefaces": value for name, value in apart.items()}
        return _measured(embeddings, labels) | named


def _measured(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """What :func:`unseen_identities` has; all of retrieval, a part of verification."""
    characters = torch.unique(labels)
    some = torch.isin(labels, characters[:: max(1, min(VERIFIED_EVERY, len(characters) // 2))])
    found = retrieval(embeddings, labels, ks=(1, 5))
    return unseen_identities(embeddings[some], labels[some]) | {
        "recall_at_1": found.recall[1],
        "recall_at_5": found.recall[5],
        "r_precision": found.r_precision,
        "map_at_r": found.map_at_r,
    }


class Fold(NamedTuple):
    """What is trained on and what is held out; the two sides share no identity."""

    train: ImageSet
    held: Held
    evaluate: Callable[[Tensor, Tensor], dict[str, float]] = unseen_identities


def load(data: str, *, broken: Literal["skip"] | None = None) -> ImageSet:
    """The images of a data set by name, or of a folder with one folder for each identity.

    Args:
        data: ``"glyphs"`` (28×28), ``"han"`` (32×32), ``"orl"`` (area-averaged to a quarter,
            28×23), ``"olivetti"`` (28×28), ``"lfw"`` (people with four images or more, 56×42), or
            a path (all resampled to 32×32).
        broken: ``"skip"`` leaves out files of a folder that are no images, and folders without
            any, with a warning that says which; None raises.

    Raises:
        ValueError: neither a name nor a folder; images that cannot be read.
        FileNotFoundError: a set that is neither cached nor could be downloaded; too few typefaces.
    """
    if data in SETS:
        return SETS[data]()
    if not Path(data).is_dir():
        raise ValueError(f"data must be {', '.join(SETS)} or a folder, got {data!r}")
    how: Literal["error", "skip"] = broken or "error"
    return image_folder(data, size=FOLDER_SIZE, empty=how).load(broken=how, progress=True)


def make_folds(images: ImageSet, settings: Settings) -> list[Fold]:
    """Identity-disjoint folds, the same for every method and seed.

    One fold is a split of the identities into 65 % to train, 15 % for validation and 20 % for
    the test. Several folds are cross-validation: fold ``f`` is the test, and where validation
    identities are evaluated, fold ``f + 1`` is held out too. The identities of the test are
    never trained on, whichever side is evaluated.

    Of a set with typefaces, 85 % of the characters are to train, 4.5 % for validation and 10.5 %
    for the test, and 70 % of the families of typefaces are trained on. Of the other families half
    are unseen where validation identities are evaluated, which are shown in these and the trained
    ones alone, and half where those of the test are, which are shown in all. Held-out characters
    are shown in one typeface of each family: beside its own bold, a character is found by design.

    Args:
        images: the whole data set.
        settings: number of folds, the side evaluated, what becomes of its images.

    Returns:
        One :class:`Fold` for each of ``settings.folds``.

    Raises:
        ValueError: more identities to train on than there are.
    """
    folds = []
    for train, held in _indices(images, settings):
        evaluate: Callable[[Tensor, Tensor], dict[str, float]] = unseen_identities
        if isinstance(images, TypefaceSet):
            train, held, unseen = _by_family(images, train, held, settings)
            evaluate = BothAxes(torch.from_numpy(unseen))
        some = _some(images.labels, train, settings.identities)
        folds.append(Fold(images.subset(some), _held(images, held, settings), evaluate))
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


def _by_family(
    images: TypefaceSet,
    train: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    settings: Settings,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """What is trained on and held out of these, and what of the latter no family was trained on."""
    seen, validation, test = identity_split(images.families, FAMILY_FRACTIONS, seed=SPLIT_SEED)
    if settings.held == "validation":
        held, unseen = np.setdiff1d(held, test), validation
    else:
        unseen = test
    cells = np.stack([images.labels[held], images.families[held]])
    held = held[np.sort(np.unique(cells, axis=1, return_index=True)[1])]
    return np.intersect1d(train, seen), held, np.isin(held, unseen)


def _indices(
    images: ImageSet, settings: Settings
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Training and held-out sample indices of each fold."""
    validating, labels = settings.held == "validation", images.labels
    if settings.folds == 1:
        fractions = TYPEFACE_FRACTIONS if isinstance(images, TypefaceSet) else FRACTIONS
        train, validation, test = identity_split(labels, fractions, seed=SPLIT_SEED)
        return [(train, validation if validating else test)]
    tests = identity_folds(labels, settings.folds, seed=SPLIT_SEED)
    everything = np.arange(len(labels))
    chosen = []
    for fold, test in enumerate(tests):
        after = tests[(fold + 1) % settings.folds]
        out = np.concatenate([test, after]) if validating else test
        chosen.append((np.setdiff1d(everything, out), after if validating else test))
    return chosen
