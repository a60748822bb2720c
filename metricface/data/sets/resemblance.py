"""How far apart typefaces draw the same characters, and characters in the same typefaces."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

Pixels = npt.NDArray[np.uint8]

FEWEST = 8
"""Characters that two typefaces must share to be compared, where there are so many."""

_REFERENCES = 3  # typefaces in which look-alike characters are looked for
_ROWS = 1024


def has_ink(drawn: Pixels) -> npt.NDArray[np.bool_]:
    """Which images are not black, ``[F, C]`` of ``[F, C, H, W]``.

    Example:
        >>> has_ink(np.eye(2, dtype=np.uint8).reshape(2, 1, 1, 2) * [[[[0, 1]]]]).tolist()
        [[False], [True]]
    """
    inked: npt.NDArray[np.bool_] = np.any(drawn, axis=(2, 3))
    return inked


def typeface_distances(drawn: Pixels) -> npt.NDArray[np.float64]:
    """For two typefaces, the median over characters of ``sqrt(mean over pixels of (x - y)²)``.

    White counts as 1, and only characters with ink in both count. A median says that half of the
    characters are at most so far apart: regional forms of one design differ in a minority.

    Args:
        drawn: uint8 ``[F, C, H, W]``, black where a typeface lacks a character.

    Returns:
        ``[F, F]``; infinite where fewer than 8 characters, or than all there are, are shared.

    Example:
        >>> black, white = np.full((2, 9, 1, 1), 1, np.uint8), np.full((1, 9, 1, 1), 255, np.uint8)
        >>> typeface_distances(np.concatenate([black, white])).round(2).tolist()
        [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    count = len(drawn)
    inked = has_ink(drawn)
    pixels = drawn.reshape(*drawn.shape[:2], -1).astype(np.float32)
    distances = np.full((count, count), np.inf)
    np.fill_diagonal(distances, 0)
    for i in range(count):
        for j in range(i):
            both = inked[i] & inked[j]
            if both.sum() >= min(FEWEST, drawn.shape[1]):
                squares = np.square(pixels[i, both] - pixels[j, both]).mean(axis=1)
                distances[i, j] = distances[j, i] = math.sqrt(float(np.median(squares))) / 255
    return distances


def families(
    distances: npt.NDArray[np.float64], names: npt.NDArray[np.str_], threshold: float
) -> npt.NDArray[np.int64]:
    """Numbers of the families: typefaces that share a name, or are alike, be it by way of others.

    Args:
        distances: ``[F, F]``.
        names: of their families, ``[F]``.
        threshold: up to which two typefaces are alike.

    Returns:
        ``[F]``, from 0 up in the order of appearance.

    Example:
        >>> far = np.array([[0, 1, 0.1], [1, 0, 1], [0.1, 1, 0]])
        >>> families(far, np.array(["a", "b", "c"]), 0.2)
        array([0, 1, 0])
    """
    linked = (distances <= threshold) | (names[:, None] == names)
    group = connected_components(linked, directed=False)[1]
    first, place = np.unique(group, return_index=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(place)] = np.arange(len(first))
    return order[group]


def look_alikes(
    drawn: Pixels, among: npt.NDArray[np.int64], threshold: float
) -> npt.NDArray[np.bool_]:
    """Which characters look like an earlier one, as :func:`~metricface.data.sets.distinct` has it.

    Two are alike where ``sqrt(mean of (x - y)²)`` over all pixels, in all typefaces that hold
    both, is at most the threshold. Pairs are sought in the three typefaces that hold most: a pair
    must be alike in one of them to be measured in all. All sums are of integers below 2**53, so
    the choice is the same on every machine.

    Args:
        drawn: uint8 ``[F, C, H, W]``, black where a typeface lacks a character.
        among: places of the characters that count, increasing, ``[A]``.
        threshold: white counts as 1.

    Returns:
        ``[A]``, True for those that look like one that is not.

    Example:
        >>> one, other = np.full((1, 1, 2, 2), 255, np.uint8), np.full((1, 1, 2, 2), 9, np.uint8)
        >>> look_alikes(np.concatenate([one, other, one], axis=1), np.arange(3), 0.1)
        array([False, False,  True])
    """
    inked = has_ink(drawn)
    inked[:, np.setdiff1d(np.arange(drawn.shape[1]), among)] = False
    limit = (255 * threshold) ** 2 * math.prod(drawn.shape[2:])
    references = np.argsort(-inked.sum(axis=1), kind="stable")[:_REFERENCES]
    pairs = {pair for face in references for pair in _close(drawn[face], inked[face], limit)}
    alike = np.zeros(drawn.shape[1], np.bool_)
    for earlier, later in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        if not alike[earlier] and not alike[later]:
            both = inked[:, earlier] & inked[:, later]
            apart = drawn[both, earlier].astype(np.int64) - drawn[both, later]
            alike[later] = np.square(apart).sum() <= limit * both.sum()
    return alike[among]


def _close(drawn: Pixels, inked: npt.NDArray[np.bool_], limit: float) -> list[tuple[int, int]]:
    """Pairs of characters of one typeface whose squared distance is within the limit."""
    held = np.flatnonzero(inked)
    pixels = drawn[held].reshape(len(held), -1).astype(np.float64)
    squares = np.square(pixels).sum(axis=1)
    found: list[tuple[int, int]] = []
    for start in range(0, len(held), _ROWS):
        rows = pixels[start : start + _ROWS]
        apart = squares[start : start + _ROWS, None] + squares - 2 * (rows @ pixels.T)
        later, earlier = np.nonzero(np.tril(apart <= limit, start - 1))
        found += zip(held[earlier].tolist(), held[start + later].tolist(), strict=True)
    return found
