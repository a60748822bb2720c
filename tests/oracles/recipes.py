"""What a training should do, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]


def moving_average(weights: Sequence[float], decay: float) -> float:
    """Of one weight after each step: the first as it is, then ``d · average + (1 − d) · new``."""
    average = weights[0]
    for weight in weights[1:]:
        average = decay * average + (1 - decay) * weight
    return average


def in_defense_rate(t: float, first: float, t0: float, t1: float, factor: float) -> float:
    """Hermans et al., eq. 9."""
    return first if t <= t0 else first * factor ** ((t - t0) / (t1 - t0))


def triplet_terms(
    anchors: Sequence[tuple[int, int, Vector]],
    references: Sequence[tuple[int, int, Vector]],
    margin: float,
) -> list[float]:
    """``[D²(a,p) − D²(a,n) + m]₊`` of all triplets, of unit vectors.

    Each anchor and reference is (identity, number of the image, embedding); no image is compared
    with itself.
    """
    terms = []
    for label, image, anchor in anchors:
        others = [other for other in references if other[1] != image]
        for near in (squared(anchor, e) for who, _, e in others if who == label):
            for far in (squared(anchor, e) for who, _, e in others if who != label):
                terms.append(max(0.0, near - far + margin))
    return terms


def squared(x: Vector, y: Vector) -> float:
    """The squared distance of two vectors scaled to length one."""
    x, y = unit(x), unit(y)
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def unit(x: Vector) -> list[float]:
    length = math.sqrt(sum(value * value for value in x))
    return [value / length for value in x]


def evaluations_until(values: Sequence[float], patience: int) -> int:
    """How many evaluations are made until ``patience`` in a row were no better than the best."""
    best, waited = -math.inf, 0
    for number, value in enumerate(values, 1):
        best, waited = (value, 0) if value > best else (best, waited + 1)
        if waited == patience:
            return number
    return len(values)
