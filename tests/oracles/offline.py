"""Slow, plain statements of offline mining, in float64 loops."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Found = list[list[tuple[float, int]]]


def squared(a: Matrix, b: Matrix) -> float:
    """Squared Euclidean distance of two vectors as they are."""
    return float(sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True)))


def impostors(
    x: Matrix,
    labels: Sequence[Hashable],
    *,
    near_duplicate: float = 0.0,
    margin: tuple[float, float] | None = None,
    relative_margin: float = 0.0,
) -> Found:
    """Every allowed impostor of every anchor with its distance, nearest first."""
    answer = []
    for i in range(len(x)):
        own = [squared(x[i], x[j]) for j in range(len(x)) if j != i and labels[j] == labels[i]]
        low, high = near_duplicate, math.inf
        if margin is not None and own:
            low, high = max(low, min(own) + margin[0]), min(own) + margin[1]
        if own:
            low = max(low, relative_margin * min(own))
        others = [(squared(x[i], x[j]), j) for j in range(len(x)) if labels[j] != labels[i]]
        answer.append(sorted((d, j) for d, j in others if low <= d < high))
    return answer


def farthest_positives(x: Matrix, labels: Sequence[Hashable]) -> Found:
    """Every positive of every anchor with its distance, farthest first."""
    return [
        sorted(
            ((squared(x[i], x[j]), j) for j in range(len(x)) if j != i and labels[j] == labels[i]),
            key=lambda each: -each[0],
        )
        for i in range(len(x))
    ]


def look_alikes(x: Matrix, labels: Sequence[str]) -> Found:
    """Every other identity of each, by the distance of their mean embeddings."""
    names = sorted(set(labels))
    means = [
        np.mean([row for row, label in zip(x, labels, strict=True) if label == name], axis=0)
        for name in names
    ]
    return [
        sorted((squared(a, b), j) for j, b in enumerate(means) if j != i)
        for i, a in enumerate(means)
    ]


def owners(x: Matrix, labels: Sequence[str], k: int) -> list[list[int]]:
    """The identities that own one of the k nearest impostors of an image of each, nearest first."""
    names = sorted(set(labels))
    met: list[dict[int, float]] = [{} for _ in names]
    for name, row in zip(labels, impostors(x, labels), strict=True):
        nearest = met[names.index(name)]
        for distance, j in row[:k]:
            owner = names.index(labels[j])
            nearest[owner] = min(distance, nearest.get(owner, math.inf))
    return [sorted(nearest, key=lambda owner: (nearest[owner], owner))[:k] for nearest in met]
