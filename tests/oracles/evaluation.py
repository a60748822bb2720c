"""Slow, plain statements of what the evaluation measures, in float64 loops."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def squared_distance(a: Matrix, b: Matrix, *, normalize: bool) -> float:
    """Squared Euclidean distance of two vectors."""
    if normalize:
        a, b = a / math.sqrt(float(a @ a)), b / math.sqrt(float(b @ b))
    return float(sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True)))


def split_pairs(
    x: Matrix, labels: Sequence[Hashable], *, normalize: bool
) -> tuple[list[float], list[float]]:
    """Distances of all unordered pairs: those of one identity, those of two."""
    genuine: list[float] = []
    impostor: list[float] = []
    for i, j in combinations(range(len(x)), 2):
        distance = squared_distance(x[i], x[j], normalize=normalize)
        (genuine if labels[i] == labels[j] else impostor).append(distance)
    return genuine, impostor


def histogram(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Half-open bins, the last closed."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        for b in range(len(counts)):
            last = b == len(counts) - 1
            if edges[b] <= value and (value < edges[b + 1] or (last and value <= edges[b + 1])):
                counts[b] += 1
    return counts


def tar_at_far(genuine: Sequence[float], impostor: Sequence[float], far: float) -> float:
    """The most genuine pairs that any threshold accepts whose FAR does not exceed the target."""
    best = 0
    for threshold in [-math.inf, *genuine, *impostor]:
        if sum(d <= threshold for d in impostor) / len(impostor) <= far:
            best = max(best, sum(d <= threshold for d in genuine))
    return best / len(genuine)


def lfw_accuracies(
    distances: Sequence[float], same: Sequence[bool], folds: Sequence[Sequence[int]]
) -> list[float]:
    """Accuracy on each fold at the smallest threshold that is best on the others."""

    def accuracy(threshold: float, rows: Sequence[int]) -> float:
        return sum((distances[i] <= threshold) == same[i] for i in rows) / len(rows)

    result = []
    for number, held_out in enumerate(folds):
        others = [i for k, fold in enumerate(folds) if k != number for i in fold]
        thresholds = sorted({-math.inf, *(distances[i] for i in others)})
        best = max(thresholds, key=lambda t: accuracy(t, others))
        result.append(accuracy(best, held_out))
    return result


def best_balanced_threshold(genuine: Sequence[float], impostor: Sequence[float]) -> float:
    """The smallest threshold of greatest (TAR + 1 − FAR) / 2."""

    def merit(threshold: float) -> int:
        won = sum(d <= threshold for d in genuine) * len(impostor)
        return won - sum(d <= threshold for d in impostor) * len(genuine)

    return max([-math.inf, *sorted({*genuine, *impostor})], key=merit)


def retrieval(
    x: Matrix,
    labels: Sequence[Hashable],
    gallery: Matrix,
    gallery_labels: Sequence[Hashable],
    ids: Sequence[Hashable],
    gallery_ids: Sequence[Hashable],
    ks: Sequence[int],
    *,
    normalize: bool,
) -> tuple[dict[int, float], float, float, int]:
    """Recall@k, R-precision, MAP@R and scored queries; ties go to the impostor."""
    recall: dict[int, list[float]] = {k: [] for k in ks}
    precisions, averages = [], []
    for q in range(len(x)):
        ranked = []
        for g in range(len(gallery)):
            if ids[q] != gallery_ids[g]:
                match = labels[q] == gallery_labels[g]
                d = squared_distance(x[q], gallery[g], normalize=normalize)
                ranked.append((d, match))
        hits = [match for _, match in sorted(ranked)]  # False sorts before True
        relevant = sum(hits)
        if relevant == 0:
            continue
        for k in ks:
            recall[k].append(float(any(hits[:k])))
        precisions.append(sum(hits[:relevant]) / relevant)
        gained = [sum(hits[: i + 1]) / (i + 1) for i in range(relevant) if hits[i]]
        averages.append(sum(gained) / relevant)
    mean = {k: float(np.mean(values)) for k, values in recall.items()}
    return mean, float(np.mean(precisions)), float(np.mean(averages)), len(precisions)


def whole_ranking(
    x: Matrix,
    labels: Sequence[Hashable],
    gallery: Matrix,
    gallery_labels: Sequence[Hashable],
    left_out: Sequence[set[int]],
) -> tuple[float, float] | None:
    """mAP and MRR of unscaled rows; of each query some gallery rows are not ranked."""
    averages, reciprocals = [], []
    for q in range(len(x)):
        ranked = sorted(
            (squared_distance(x[q], gallery[g], normalize=False), labels[q] == gallery_labels[g])
            for g in range(len(gallery))
            if g not in left_out[q]
        )
        places = [place for place, (_, match) in enumerate(ranked, 1) if match]
        if places:
            averages.append(float(np.mean([i / place for i, place in enumerate(places, 1)])))
            reciprocals.append(1 / places[0])
    return (float(np.mean(averages)), float(np.mean(reciprocals))) if averages else None


def validation_rates(
    distances: Sequence[float],
    same: Sequence[bool],
    folds: Sequence[Sequence[int]],
    far: float,
) -> list[tuple[float, float]]:
    """TAR and FAR on each fold just below the impostor that is one too many on the others."""
    result = []
    for number, held_out in enumerate(folds):
        others = [i for k, fold in enumerate(folds) if k != number for i in fold]
        impostors = [distances[i] for i in others if not same[i]]
        tried = [*sorted(impostors), math.inf]
        # Just below the last that may be reached: all that are nearer are accepted.
        reached = [t for t in tried if sum(d < t for d in impostors) / len(impostors) <= far]
        accepted = [(distances[i] < max(reached), same[i]) for i in held_out]
        genuine = [near for near, true in accepted if true]
        strangers = [near for near, true in accepted if not true]
        result.append((sum(genuine) / len(genuine), sum(strangers) / len(strangers)))
    return result


def identification_ranks(
    gallery: Matrix,
    people: Sequence[Hashable],
    probes: Matrix,
    own: Sequence[Hashable],
) -> tuple[list[int], list[float], list[float]]:
    """Rank of each mated probe, its nearest distance, and that of each unmated probe.

    A person stands at their nearest picture; who is as near as the mate ranks before it.
    """
    ranks, nearest, strangers = [], [], []
    for probe, name in zip(probes, own, strict=True):
        stands: dict[Hashable, float] = {}
        for row, person in zip(gallery, people, strict=True):
            d = squared_distance(probe, row, normalize=False)
            stands[person] = min(d, stands.get(person, math.inf))
        if name in stands:
            ranks.append(1 + sum(stands[p] <= stands[name] for p in stands if p != name))
            nearest.append(min(stands.values()))
        else:
            strangers.append(min(stands.values()))
    return ranks, nearest, strangers


def b_cubed(assignment: Sequence[Hashable], labels: Sequence[Hashable]) -> tuple[float, float]:
    """Precision and recall of each sample's cluster, averaged over the samples."""
    count = len(labels)
    precision, recall = [], []
    for i in range(count):
        cluster = {j for j in range(count) if assignment[j] == assignment[i]}
        identity = {j for j in range(count) if labels[j] == labels[i]}
        precision.append(len(cluster & identity) / len(cluster))
        recall.append(len(cluster & identity) / len(identity))
    return sum(precision) / count, sum(recall) / count


def pair_agreement(
    assignment: Sequence[Hashable], labels: Sequence[Hashable]
) -> tuple[float, float]:
    """Precision and recall over pairs of samples; 1 of nothing."""
    pairs = list(combinations(range(len(labels)), 2))
    together = [(i, j) for i, j in pairs if assignment[i] == assignment[j]]
    belong = [(i, j) for i, j in pairs if labels[i] == labels[j]]
    both = len(set(together) & set(belong))
    return (both / len(together) if together else 1.0, both / len(belong) if belong else 1.0)


def pooled_template(
    x: Matrix, media: Sequence[Hashable], weights: Sequence[float], *, normalize: bool
) -> list[float]:
    """One template from its faces: weighted, frames averaged in each medium, media summed, unit."""
    dim = x.shape[1]
    total = [0.0] * dim
    for medium in sorted(set(media), key=str):
        frames = [row for row in range(len(x)) if media[row] == medium]
        for column in range(dim):
            summed = 0.0
            for row in frames:
                length = math.sqrt(float(x[row] @ x[row])) if normalize else 1.0
                summed += weights[row] * float(x[row, column]) / length
            total[column] += summed / len(frames)
    length = math.sqrt(sum(value * value for value in total))
    return [value / length for value in total]


def tar_of_sorted(genuine: Sequence[float], impostor: Sequence[float], far: float) -> float:
    """TAR at the FAR by counting down the sorted impostors: those that tie get in together."""
    nearest = sorted(impostor)
    allowed = 0
    while allowed < len(nearest) and (allowed + 1) / len(nearest) <= far:
        allowed += 1
    beyond = nearest[allowed] if allowed < len(nearest) else math.inf
    return sum(d < beyond for d in genuine) / len(genuine)


def megaface_places(
    probes: Matrix, people: Sequence[Hashable], distractors: Matrix
) -> tuple[list[int], list[float], list[float]]:
    """The rank of the mate in each search, the genuine distances and the impostor distances.

    Every picture of a person in turn stands in the gallery beside all distractors, and each other
    picture of theirs searches it; a distractor as near as the mate ranks before it.
    """
    places, genuine = [], []
    count = range(len(probes))
    impostor = [[squared_distance(p, d, normalize=False) for d in distractors] for p in probes]
    for enrolled in count:
        for probe in count:
            if probe != enrolled and people[probe] == people[enrolled]:
                mate = squared_distance(probes[probe], probes[enrolled], normalize=False)
                places.append(1 + sum(d <= mate for d in impostor[probe]))
                if probe < enrolled:
                    genuine.append(mate)
    return places, genuine, [d for row in impostor for d in row]
