"""Slow, plain loops for the losses with a state of their own. Imports nothing it checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Pair = tuple[int, int]


def margin_terms(
    d: Matrix,
    positive: Sequence[Pair],
    negative: Sequence[Pair],
    betas: Sequence[float],
    margin: float,
) -> tuple[list[float], list[float]]:
    """``[α + y (D − β)]₊`` with the β of each row of the batch."""
    pos = [max(0.0, margin + (d[a, p] - betas[a])) for a, p in positive]
    neg = [max(0.0, margin - (d[a, n] - betas[a])) for a, n in negative]
    return pos, neg


def margin_loss(
    pos: Sequence[float],
    neg: Sequence[float],
    positive: Sequence[Pair],
    betas: Sequence[float],
    nu: float,
) -> float:
    """The paper's reduction."""
    total = sum(pos) + sum(neg) + nu * sum(betas[a] for a, _ in positive)
    active = sum(t > 0 for t in [*pos, *neg])
    return total / max(active, 1)


def center_loss(
    x: Matrix, labels: Sequence[int], centers: Matrix, weight: float, alpha: float
) -> tuple[float, Matrix]:
    """The loss, and the centres afterwards."""
    loss = 0.0
    for row, y in zip(x, labels, strict=True):
        loss += sum((u - c) ** 2 for u, c in zip(row, centers[y], strict=True))
    moved = centers.copy()
    for j in range(len(centers)):
        members = [row for row, y in zip(x, labels, strict=True) if y == j]
        for k in range(centers.shape[1]):
            change = sum(centers[j, k] - row[k] for row in members) / (1 + len(members))
            moved[j, k] = centers[j, k] - alpha * change
    return weight / 2 * loss / len(x), moved


def pair_distance(a: Sequence[float], b: Sequence[float], kind: str) -> float:
    if kind == "l1":
        return sum(abs(u - v) for u, v in zip(a, b, strict=True))
    if kind == "l2":
        return math.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)))
    lengths = math.sqrt(sum(u * u for u in a)) * math.sqrt(sum(v * v for v in b))
    return sum(u * v for u, v in zip(a, b, strict=True)) / lengths  # the cosine itself


def verification_term(
    a: Sequence[float],
    b: Sequence[float],
    kind: str,
    *,
    same: bool,
    margin: float,
    squared: bool,
    slope: float,
    offset: float,
) -> float:
    value = pair_distance(a, b, kind)
    if kind == "cosine":
        guess = 1 / (1 + math.exp(-(slope * value + offset)))
        return ((1.0 if same else 0.0) - guess) ** 2 / 2
    if same:
        return value**2 / 2
    if squared:
        return max(0.0, margin - value**2) / 2
    return max(0.0, margin - value) ** 2 / 2


def balanced_error(genuine: Sequence[float], impostor: Sequence[float], threshold: float) -> float:
    """Half the share of genuine pairs refused and half the share of impostor pairs accepted."""
    refused = sum(d > threshold for d in genuine) / len(genuine)
    accepted = sum(d <= threshold for d in impostor) / len(impostor)
    return (refused + accepted) / 2


def least_balanced_error(genuine: Sequence[float], impostor: Sequence[float]) -> float:
    """By trying a threshold in every gap."""
    points = sorted({*genuine, *impostor})
    tried = [points[0] - 1, *((a + b) / 2 for a, b in pairwise(points)), points[-1] + 1]
    return min(balanced_error(genuine, impostor, t) for t in tried)
