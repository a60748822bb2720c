"""Losses of one anchor from its distances to positives and negatives, in plain loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = Sequence[float]


def log_sum(values: Row) -> float:
    if not values:
        return -math.inf
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def log_1_plus(exponent: float) -> float:
    """``log(1 + e^x)``."""
    return max(exponent, 0.0) + math.log1p(math.exp(-abs(exponent)))


def supcon(near: Row, far: Row, temperature: float) -> list[float]:
    if not near:
        return []
    every = log_sum([-d / temperature for d in [*near, *far]])
    return [math.fsum(every + d / temperature for d in near) / len(near)]


def info_nce(near: Row, far: Row, temperature: float) -> list[float]:
    return [
        log_sum([-d / temperature, *(-e / temperature for e in far)]) + d / temperature
        for d in near
    ]


def sigmoid_pairs(near: Row, far: Row, scale: float, bias: float) -> list[float]:
    genuine = [log_1_plus(-(scale * (1 - d) + bias)) for d in near]
    return genuine + [log_1_plus(scale * (1 - d) + bias) for d in far]


def multi_similarity(near: Row, far: Row, alpha: float, beta: float, base: float) -> list[float]:
    pull = log_1_plus(log_sum([-alpha * (1 - d - base) for d in near]))
    push = log_1_plus(log_sum([beta * (1 - d - base) for d in far]))
    return [pull / alpha + push / beta]


def circle(near: Row, far: Row, margin: float, scale: float) -> list[float]:
    if not near or not far:
        return []
    pull = [-scale * max(0.0, 1 + margin - s) * (s - (1 - margin)) for s in (1 - d for d in near)]
    push = [scale * max(0.0, s + margin) * (s - margin) for s in (1 - d for d in far)]
    return [log_1_plus(log_sum(pull) + log_sum(push))]


def lifted(near: Row, far: Row, margin: float) -> list[float]:
    if not near or not far:
        return []
    return [max(0.0, log_sum(near) + log_sum([margin - d for d in far]))]


def nca(near: Row, far: Row, scale: float) -> list[float]:
    if not near:
        return []
    weights = [-scale * d for d in near]
    return [log_sum([*weights, *(-scale * d for d in far)]) - log_sum(weights)]


def smooth_ap(near: Row, far: Row, temperature: float) -> list[float]:
    def before(other: float, own: float) -> float:
        exponent = (other - own) / temperature
        return 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))

    if not near:
        return []
    shares = []
    for place, own in enumerate(near):
        others = [d for k, d in enumerate(near) if k != place]
        among = 1 + math.fsum(before(d, own) for d in others)
        shares.append(among / (among + math.fsum(before(d, own) for d in far)))
    return [1 - math.fsum(shares) / len(shares)]
