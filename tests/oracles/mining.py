"""Slow, plain loops for distances, mining and losses in float64. Imports nothing it checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Index = tuple[int, ...]


def rows(x: npt.ArrayLike, *, normalize: bool) -> Matrix:
    out = np.array(x, dtype=np.float64)
    if normalize:
        for row in out:
            length = math.sqrt(sum(v * v for v in row))
            if length > 0:
                row /= length
    return out


def distance_matrix(
    x: npt.ArrayLike, y: npt.ArrayLike, kind: str = "squared", *, normalize: bool = True
) -> Matrix:
    a, b = rows(x, normalize=normalize), rows(y, normalize=normalize)
    out = np.zeros((len(a), len(b)))
    for i, j in product(range(len(a)), range(len(b))):
        squared = sum((u - v) ** 2 for u, v in zip(a[i], b[j], strict=True))
        out[i, j] = {"squared": squared, "euclidean": math.sqrt(squared), "cosine": squared / 2}[
            kind
        ]
    return out


class Layout:
    """Who is whose positive and negative, by looking at every pair."""

    def __init__(
        self,
        labels: Sequence[object],
        ref_labels: Sequence[object] | None = None,
        ids: Sequence[object] | None = None,
        ref_ids: Sequence[object] | None = None,
    ) -> None:
        itself = ref_labels is None
        self.b = len(labels)
        others = labels if ref_labels is None else ref_labels
        if itself:
            ids = ref_ids = list(range(self.b)) if ids is None else ids
        self.positives: list[list[int]] = []
        self.negatives: list[list[int]] = []
        for i in range(self.b):
            pos: list[int] = []
            neg: list[int] = []
            for j in range(len(others)):
                if ids is not None and ref_ids is not None and ids[i] == ref_ids[j]:
                    continue
                if itself and i == j:
                    continue
                (pos if labels[i] == others[j] else neg).append(j)
            self.positives.append(pos)
            self.negatives.append(neg)

    def pairs(self) -> Iterator[tuple[int, int]]:
        for a in range(self.b):
            for p in self.positives[a]:
                yield a, p

    def triplets(self) -> Iterator[tuple[int, int, int]]:
        for a, p in self.pairs():
            for n in self.negatives[a]:
                yield a, p, n

    def impostors(self) -> Iterator[tuple[int, int]]:
        for a in range(self.b):
            for n in self.negatives[a]:
                yield a, n


def batch_hard(d: Matrix, layout: Layout) -> set[Index]:
    found: set[Index] = set()
    for a in range(layout.b):
        if layout.positives[a] and layout.negatives[a]:
            p = max(layout.positives[a], key=lambda j: d[a, j])
            n = min(layout.negatives[a], key=lambda j: d[a, j])
            found.add((a, p, n))
    return found


def semi_hard_choices(
    d: Matrix,
    layout: Layout,
    margin: float = 0.2,
    *,
    bounded: bool = True,
    include_hard: bool = False,
) -> dict[tuple[int, int], list[int]]:
    """All negatives that qualify for each pair, nearest first."""
    choices = {}
    for a, p in layout.pairs():
        low = -1.0 if include_hard else d[a, p]
        high = d[a, p] + margin if bounded else math.inf
        inside = [n for n in layout.negatives[a] if low < d[a, n] < high]
        choices[a, p] = sorted(inside, key=lambda n: d[a, n])
    return choices


def farthest_negative(d: Matrix, layout: Layout, a: int) -> int | None:
    return max(layout.negatives[a], key=lambda n: d[a, n]) if layout.negatives[a] else None


def reduced(terms: Sequence[float], reduction: str) -> float:
    if reduction == "sum":
        return float(sum(terms))
    kept = [t for t in terms if t > 0] if reduction == "nonzero" else list(terms)
    return float(sum(kept)) / max(len(kept), 1)


def triplet_term(margin: float | str) -> Callable[[float, float], float]:
    if isinstance(margin, str):
        return lambda ap, an: float(np.logaddexp(0.0, ap - an))
    return lambda ap, an: max(0.0, ap - an + margin)


def triplet_terms(
    d: Matrix, triplets: Sequence[Index], margin: float | str, between: Matrix | None = None
) -> list[float]:
    """``between``: reference-to-reference distances, for the swap."""
    term = triplet_term(margin)
    terms = []
    for a, p, n in triplets:
        an = d[a, n] if between is None else min(d[a, n], between[p, n])
        terms.append(term(d[a, p], an))
    return terms


def contrastive_terms(
    d: Matrix,
    genuine: Sequence[Index],
    impostor: Sequence[Index],
    *,
    form: str,
    margin: float,
    positive_margin: float = 0.0,
) -> tuple[list[float], list[float]]:
    if form == "hadsell":
        return (
            [0.5 * d[i, j] ** 2 for i, j in genuine],
            [0.5 * max(0.0, margin - d[i, j]) ** 2 for i, j in impostor],
        )
    return (
        [max(0.0, d[i, j] - positive_margin) for i, j in genuine],
        [max(0.0, margin - d[i, j]) for i, j in impostor],
    )


def violators(d: Matrix, layout: Layout, margin: float) -> set[Index]:
    return {(a, p, n) for a, p, n in layout.triplets() if d[a, n] < d[a, p] + margin}


def multi_similarity(d: Matrix, layout: Layout, epsilon: float) -> tuple[set[Index], set[Index]]:
    genuine: set[Index] = set()
    impostor: set[Index] = set()
    for a in range(layout.b):
        pos, neg = layout.positives[a], layout.negatives[a]
        if pos and neg:
            impostor |= {(a, n) for n in neg if d[a, n] < max(d[a, p] for p in pos) + epsilon}
            genuine |= {(a, p) for p in pos if d[a, p] > min(d[a, n] for n in neg) - epsilon}
    return genuine, impostor


def easy_positive(d: Matrix, layout: Layout, *, semi_hard: bool) -> set[Index]:
    found: set[Index] = set()
    for a in range(layout.b):
        if layout.positives[a]:
            p = min(layout.positives[a], key=lambda j: d[a, j])
            inside = [n for n in layout.negatives[a] if not semi_hard or d[a, n] > d[a, p]]
            if inside:
                found.add((a, p, min(inside, key=lambda j: d[a, j])))
    return found


def ranked(
    d: Matrix, layout: Layout, positive_rank: tuple[int, int], negative_rank: tuple[int, int]
) -> set[Index]:
    found: set[Index] = set()
    for a in range(layout.b):
        far = sorted(layout.positives[a], key=lambda j: -d[a, j])[slice(*positive_rank)]
        near = sorted(layout.negatives[a], key=lambda j: d[a, j])[slice(*negative_rank)]
        found |= {(a, p, n) for p, n in product(far, near)}
    return found


def distance_weights(
    d: Sequence[float], dim: int, cutoff: float, nonzero_loss_cutoff: float
) -> list[float]:
    """Probabilities of the negatives at these distances, through exact logarithms."""
    logs = []
    for distance in d:
        if distance >= nonzero_loss_cutoff:
            logs.append(-math.inf)
            continue
        u = max(distance, cutoff)
        logs.append(-(dim - 2) * math.log(u) - (dim - 3) / 2 * math.log(1 - u * u / 4))
    top = max(logs)
    if top == -math.inf:
        return [0.0 for _ in logs]
    weights = [math.exp(value - top) for value in logs]
    return [w / math.fsum(weights) for w in weights]
