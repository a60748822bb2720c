"""Slow, plain loops for the classifiers in float64, from angles. Imports nothing it checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Target = Callable[[float], float]


def plain(theta: float) -> float:
    return math.cos(theta)


def psi(theta: float, m: int) -> float:
    """Piece by piece, as printed."""
    k = min(int(theta * m / math.pi), m - 1)
    return (-1.0 if k % 2 else 1.0) * math.cos(m * theta) - 2 * k


def annealed_psi(theta: float, m: int, share: float) -> float:
    return (share * math.cos(theta) + psi(theta, m)) / (1 + share)


def arcface(theta: float, m: float) -> float:
    if theta <= math.pi - m:
        return math.cos(theta + m)
    return math.cos(theta) - m * math.sin(m)


def arcface_easy(theta: float, m: float) -> float:
    return math.cos(theta + m) if theta < math.pi / 2 else math.cos(theta)


def combined(theta: float, m1: float, m2: float, m3: float) -> float:
    if m1 * theta + m2 <= math.pi:
        return math.cos(m1 * theta + m2) - m3
    turn = (math.pi - m2) / m1
    return math.cos(theta) - max(m2 * math.sin(m2), 1 + math.cos(turn)) - m3


def length(row: Sequence[float]) -> float:
    return math.sqrt(sum(v * v for v in row))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = length(a) * length(b)
    dot = sum(u * v for u, v in zip(a, b, strict=True))
    return max(-1.0, min(1.0, dot / lengths)) if lengths else 0.0


def log_sum_exp(values: Sequence[float]) -> float:
    if not values:
        return -math.inf
    largest = max(values)
    return largest + math.log(sum(math.exp(v - largest) for v in values))


def terms(
    x: Matrix,
    weight: Matrix,
    labels: Sequence[int],
    target: Target,
    *,
    scale: float | None,
    unit_weight: bool,
    bias: Sequence[float] | None = None,
) -> list[float]:
    """The cross-entropy of each row, with the target's cosine replaced."""
    out = []
    for row, y in zip(x.tolist(), labels, strict=True):
        logits = []
        for j, centre in enumerate(weight.tolist()):
            size = length(row) if scale is None else scale
            size *= 1.0 if unit_weight else length(centre)
            cos = cosine(row, centre)
            asked = target(math.acos(cos)) if j == y else cos
            logits.append(size * asked + (0.0 if bias is None else bias[j]))
        out.append(log_sum_exp(logits) - logits[y])
    return out


def global_boundary(
    x: Matrix,
    weight: Matrix,
    labels: Sequence[int],
    boundary: float | None,
    *,
    scale: float = 32.0,
    margin: float = 0.16,
    alpha: float = 0.15,
    gamma: float = 0.01,
    bounds: tuple[float, float] = (0.5, 0.7),
) -> tuple[list[float], float]:
    """GB-CosFace: the loss of each row, and the boundary afterwards."""
    own, other = [], []
    for row, y in zip(x.tolist(), labels, strict=True):
        cosines = [cosine(row, centre) for centre in weight.tolist()]
        own.append(cosines[y])
        rest = [scale * c for j, c in enumerate(cosines) if j != y]
        other.append(log_sum_exp(rest) / scale)
    middle = [(p + n) / 2 for p, n in zip(own, other, strict=True)]
    mean = sum(middle) / len(middle)
    shared = min(max(mean if boundary is None else boundary, bounds[0]), bounds[1])
    out = []
    for p, n, v in zip(own, other, middle, strict=True):
        b = v + alpha * (shared - v)
        first = log_sum_exp([0.0, 2 * scale * (b - p + margin)])
        second = log_sum_exp([0.0, 2 * scale * (n - b + margin)])
        out.append(first / 2 + second / 2)
    return out, (1 - gamma) * shared + gamma * mean


def batch_centroids(x: Matrix, labels: Sequence[int]) -> tuple[Matrix, list[int]]:
    """The mean unit embedding of each class that is there, and which of them is each row's."""
    present = sorted(set(labels))
    means = []
    for y in present:
        rows = [row for row, label in zip(x.tolist(), labels, strict=True) if label == y]
        unit = [[v / (length(row) or 1.0) for v in row] for row in rows]
        means.append([sum(column) / len(unit) for column in zip(*unit, strict=True)])
    return np.array(means), [present.index(y) for y in labels]


def nearest_centres(row: Sequence[float], weight: npt.NDArray[np.float64]) -> Matrix:
    """Of ``[C, K, D]``, the centre of each class with the largest cosine."""
    return np.array([max(own, key=lambda c: cosine(row, c)) for own in weight.tolist()])


def sub_center_terms(
    x: Matrix,
    weight: npt.NDArray[np.float64],
    labels: Sequence[int],
    target: Target,
    *,
    scale: float = 64.0,
) -> list[float]:
    out = []
    for row, y in zip(x, labels, strict=True):
        centres = nearest_centres(row.tolist(), weight)
        out += terms(row[None], centres, [y], target, scale=scale, unit_weight=True)
    return out


def squared_distances(row: Sequence[float], weight: Matrix) -> list[float]:
    """Between vectors of length one."""
    unit = [v / length(row) for v in row]
    out = []
    for centre in weight.tolist():
        other = [v / length(centre) for v in centre]
        out.append(sum((u - v) ** 2 for u, v in zip(unit, other, strict=True)))
    return out


def proxy_nca(
    x: Matrix, weight: Matrix, labels: Sequence[int], temperature: float, *, own_proxy: bool
) -> list[float]:
    out = []
    for row, y in zip(x.tolist(), labels, strict=True):
        logits = [-d / temperature for d in squared_distances(row, weight)]
        others = [v for j, v in enumerate(logits) if own_proxy or j != y]
        out.append(log_sum_exp(others) - logits[y])
    return out


def proxy_anchor(
    x: Matrix, weight: Matrix, labels: Sequence[int], *, scale: float = 32.0, margin: float = 0.1
) -> float:
    """Proxy by proxy, as printed."""
    pull = push = 0.0
    for j, proxy in enumerate(weight.tolist()):
        cosines = [(y, cosine(row, proxy)) for row, y in zip(x.tolist(), labels, strict=True)]
        positive = [-scale * (c - margin) for y, c in cosines if y == j]
        negative = [scale * (c + margin) for y, c in cosines if y != j]
        pull += log_sum_exp([0.0, *positive])
        push += log_sum_exp([0.0, *negative])
    return pull / max(len(set(labels)), 1) + push / len(weight)


def adaface(theta: float, quality: float, m: float = 0.4) -> float:
    turned = min(max(theta - m * quality, 0.0), math.pi)
    return math.cos(turned) - (m + m * quality)


def adaptive(
    x: Matrix,
    weight: Matrix,
    labels: Sequence[int],
    mean: float = 20.0,
    std: float = 100.0,
    *,
    alpha: float = 0.01,
    scale: float = 64.0,
) -> tuple[list[float], float, float]:
    """AdaFace in training: the loss of each row, and the running statistics it was taken with."""
    norms = [min(max(length(row), 0.001), 100.0) for row in x.tolist()]
    if norms:
        of_batch = sum(norms) / len(norms)
        mean = alpha * of_batch + (1 - alpha) * mean
        if len(norms) > 1:
            spread = sum((v - of_batch) ** 2 for v in norms) / (len(norms) - 1)
            std = alpha * math.sqrt(spread) + (1 - alpha) * std
    out = []
    for row, y, norm in zip(x, labels, norms, strict=True):
        quality = min(max(0.333 * (norm - mean) / (std + 0.001), -1.0), 1.0)
        asked = partial(adaface, quality=quality)
        out += terms(row[None], weight, [y], asked, scale=scale, unit_weight=True)
    return out, mean, std
