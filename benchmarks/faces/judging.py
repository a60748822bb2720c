"""What a trained network is worth: the protocol's figures, one threshold, the hardest pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.faces.sources import Trial
from metricface.evaluation import (
    ClassDistances,
    HardestPairs,
    Verification,
    class_distances,
    hardest_pairs,
    verification,
)
from metricface.recipes import embed

LEAST = 10
"""Impostor pairs that a FAR must let in, for its TAR to be shown."""


@dataclass(frozen=True)
class Judged:
    """All that the page shows."""

    protocol: str
    """In words."""
    found: Verification
    """The figures and the curve."""
    hardest: HardestPairs
    """Rows of the test's images."""
    spread: ClassDistances | None
    """The distances within and between people, where the test says who each image shows."""

    def figures(self) -> dict[str, Any]:
        """Numbers by name, as they are written to ``figures.json``."""
        found = self.found
        return {
            "protocol": self.protocol,
            "accuracy": found.accuracy,
            "accuracy_std": found.std,
            "threshold": found.threshold,
            "eer": found.eer,
            "auc": found.auc,
            **{f"tar_at_{far:g}": tar for far, tar in found.tar.items()},
            "genuine_pairs": found.genuine_pairs,
            "impostor_pairs": found.impostor_pairs,
        }


def judge(network: nn.Module, trial: Trial, *, workers: int = 0, count: int = 8) -> Judged:
    """Compare the test's images by their embeddings.

    The threshold is on the squared Euclidean distance of unit embeddings, and is the one that is
    right most often on all pairs of the test.

    Args:
        network: gives the embeddings.
        trial: the test.
        workers: processes that decode.
        count: how many of the hardest pairs of each kind.
    """
    given = embed(network, trial.images, workers=workers).cpu()
    if trial.pairs is None:
        labels = trial.images.labels
        sizes = np.unique(labels, return_counts=True)[1]
        impostors = (len(labels) ** 2 - int((sizes**2).sum())) // 2
        found = verification(given, labels, folds=trial.folds, fars=_fars(impostors))
        near = hardest_pairs(given, labels, count=count)
        return Judged(trial.protocol, found, near, class_distances(given, labels))
    same = torch.as_tensor(trial.same)
    found = verification(
        given,
        pairs=trial.pairs,
        same=same,
        folds=trial.folds,
        fars=_fars(int((~same).sum())),
    )
    return Judged(trial.protocol, found, _hardest_listed(given, trial, same, count), None)


def _fars(impostors: int) -> tuple[float, ...]:
    """Rates at which so many impostor pairs let in enough of them to be counted."""
    rates = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    return tuple(far for far in rates if far * impostors >= LEAST)


def _hardest_listed(given: Tensor, trial: Trial, same: Tensor, count: int) -> HardestPairs:
    """Of a list of pairs the nearest impostors and the farthest of one person."""
    unit = F.normalize(given)
    pairs = torch.as_tensor(trial.pairs)
    distances = (unit[pairs[:, 0]] - unit[pairs[:, 1]]).square().sum(1).double()
    parts = []
    for kind, farthest in ((~same, False), (same, True)):
        rows = kind.nonzero()[:, 0]
        values, order = distances[rows].sort(descending=farthest, stable=True)
        parts += [pairs[rows[order[:count]]].numpy(), values[:count].numpy()]
    return HardestPairs(*parts)
