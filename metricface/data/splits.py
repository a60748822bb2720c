"""Splits in which no identity is on two sides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metricface.types import Labels, numbered


def identity_split(
    labels: Labels, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> tuple[npt.NDArray[np.int64], ...]:
    """Sample indices of identity-disjoint parts, such as train, validation and test.

    Part ``i`` gets ``fractions[i] · C`` of the ``C`` identities, rounded by largest remainders
    (the earlier part wins a tie) so that fractions that sum to 1 use every identity. Which
    identities go where depends on the seed and on the set of label values alone, not on the
    order of the samples or their number.

    Args:
        labels: ``[N]``, one identity per sample, integers or strings.
        fractions: share of the identities per part, each above 0, their sum at most 1; what they
            leave is in no part.
        seed: of the shuffle, at least 0.

    Returns:
        One int64 array per part, increasing.

    Raises:
        ValueError: fractions out of range, or too few identities to give each part one.

    Example:
        >>> labels = ["eva", "tom", "eva", "kim", "tom", "lea", "max"]
        >>> train, validation, test = identity_split(labels)
        >>> sorted(labels[i] for i in test)
        ['kim']
    """
    shares = [float(fraction) for fraction in fractions]
    if not shares or not all(share > 0 for share in shares) or math.fsum(shares) > 1 + 1e-9:
        raise ValueError(f"fractions must be above 0 and sum to at most 1, got {tuple(fractions)}")
    member, names = numbered(labels)
    identities = len(names)
    counts = _largest_remainders(shares, identities)
    if 0 in counts:
        raise ValueError(
            f"fractions {tuple(fractions)} of {identities} identities leave a part empty: "
            f"{counts} identities"
        )
    order = np.random.default_rng(seed).permutation(identities)
    parts = np.split(order, np.cumsum(counts))[: len(counts)]
    return tuple(_members(part, member) for part in parts)


def identity_folds(labels: Labels, folds: int = 5, seed: int = 0) -> list[npt.NDArray[np.int64]]:
    """Sample indices of the test sides of an identity-disjoint cross-validation.

    Every identity is in exactly one fold; the sizes of folds differ by one identity at most.
    Which identities go where depends on the seed and on the set of label values alone.

    Args:
        labels: ``[N]``, one identity per sample, integers or strings.
        folds: how many, from 2 to the number of identities.
        seed: of the shuffle, at least 0.

    Returns:
        One int64 array per fold, increasing; together they hold every sample once.

    Raises:
        ValueError: fewer than 2 folds, or more folds than identities.

    Example:
        >>> folds = identity_folds([7, 7, 8, 9, 9, 9], folds=3)
        >>> sorted(fold.tolist() for fold in folds)
        [[0, 1], [2], [3, 4, 5]]
    """
    member, names = numbered(labels)
    identities = len(names)
    if not 2 <= folds <= identities:
        raise ValueError(f"folds must be from 2 to the {identities} identities, got {folds}")
    order = np.random.default_rng(seed).permutation(identities)
    return [_members(part, member) for part in np.array_split(order, folds)]


def _members(part: npt.NDArray[np.int64], member: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.isin(member, part)).astype(np.int64)


def _largest_remainders(shares: list[float], total: int) -> list[int]:
    """Whole numbers nearest to ``shares · total``, the unclaimed share counted as a last part."""
    rest = max(0.0, 1 - math.fsum(shares))
    # Rounding, here and below, removes the noise of binary fractions, which would decide ties.
    quotas = [round(share * total, 9) for share in (*shares, rest)]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: round(counts[i] - quotas[i], 9))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts[:-1]
