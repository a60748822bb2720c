"""Random orders that depend on nothing but the numbers they are asked for."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[Any]
"""Integers of any width."""

Keys: TypeAlias = npt.NDArray[np.uint64]

_POOL = 1 << 15  # entries kept for every power of two: 2048 orders of 16, 128 of 256, …
_WEYL = np.array(
    [0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7, 0xABC98388FB8FAC03],
    dtype=np.uint64,
)


def generator(seed: int, role: str, number: int) -> np.random.Generator:
    """The random generator of one role (say, the order of epoch 3), independent of all others.

    Example:
        >>> generator(0, "epoch", 3).integers(100) == generator(0, "epoch", 3).integers(100)
        np.True_
    """
    return np.random.default_rng([seed, int.from_bytes(role.encode(), "little"), number])


def first_without(order: Ints, taboo: Ints, count: int) -> Ints:
    """``order`` with its first ``count`` entries outside ``taboo`` moved to the front.

    Args:
        order: a permutation, ``[N]``.
        taboo: entries that may not come among the first ``count``.
        count: how many entries to protect; at most ``N`` less the size of ``taboo``.

    Example:
        >>> first_without(np.array([4, 0, 3, 1, 2]), np.array([4, 3]), 2)
        array([0, 1, 4, 3, 2])
    """
    if count == 0 or len(taboo) == 0:
        return order
    free = ~np.isin(order, taboo)
    chosen = free & (np.cumsum(free) <= count)
    return np.concatenate([order[chosen], order[~chosen]])


def mix(*parts: Ints | int) -> Keys:
    """One well-mixed 64-bit key per row from up to four integers (the splitmix64 finaliser)."""
    key: Keys = np.zeros(1, dtype=np.uint64)
    for weight, part in zip(_WEYL, parts, strict=False):
        key = key + np.asarray(part).astype(np.uint64) * weight
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    key ^= key >> np.uint64(31)
    return key


class KeyedPermutations:
    """Permutations of any size of which single places can be looked up, in O(1) each.

    A pool holds random orders of every power of two. A key picks one of them, a shift of its
    places and a mask on its values; values beyond the size are walked over, which leaves a
    permutation of exactly that size. Nothing of the length of the permutation is ever built,
    so the deck of an identity with a million images costs no more than that of one with four.

    Args:
        largest: largest size that will be asked for.
        seed: of the pool.

    Example:
        >>> permutations = KeyedPermutations(5, seed=0)
        >>> places = np.arange(5)[None]
        >>> sorted(permutations(places, np.array([5]), mix(7))[0].tolist())
        [0, 1, 2, 3, 4]
    """

    def __init__(self, largest: int, seed: int) -> None:
        rng = generator(seed, "pool", 0)
        classes = max(largest - 1, 0).bit_length() + 1
        # the exponent of the power of two that holds each size
        self._exponent = np.zeros(largest + 1, dtype=np.int8)
        for exponent in range(1, classes):
            self._exponent[(1 << (exponent - 1)) + 1 :] = exponent
        pools, begin = [], [0]
        for exponent in range(classes):
            rows = max(_POOL >> exponent, 1)
            order = np.broadcast_to(np.arange(1 << exponent, dtype=np.int32), (rows, 1 << exponent))
            pools.append(rng.permuted(order, axis=1).ravel())
            begin.append(begin[-1] + pools[-1].size)
        self._pool = np.concatenate(pools)
        self._begin = np.array(begin[:-1], dtype=np.int32)
        self._choice = np.array([pool.size - (1 << e) for e, pool in enumerate(pools)], np.uint64)

    def __call__(self, place: Ints, size: Ints, key: Keys) -> npt.NDArray[np.int32]:
        """The entries at some places of one permutation per row.

        Args:
            place: ``[M, k]``, each in ``[0, size)`` of its row.
            size: ``[M]``, at least 1.
            key: ``[M]``, which permutation of that size.

        Returns:
            int32 ``[M, k]``; entries of a row differ where its places differ.
        """
        exponent = self._exponent[size]
        mask = (np.int32(1) << exponent.astype(np.int32)) - np.int32(1)
        row = self._begin[exponent] + (key & self._choice[exponent]).astype(np.int32)
        shift = (key >> np.uint64(16)).astype(np.int32) & mask
        flip = (key >> np.uint64(40)).astype(np.int32) & mask
        size32 = size.astype(np.int32)
        value = place.astype(np.int32) + shift[:, None]
        value &= mask[:, None]
        value += row[:, None]
        value = self._pool.take(value)
        value ^= flip[:, None]
        beyond = np.flatnonzero(value >= size32[:, None])
        flat, line = value.ravel(), beyond // place.shape[1]
        walker = flat[beyond]
        while len(beyond):
            at = ((walker + shift[line]) & mask[line]) + row[line]
            walker = self._pool.take(at) ^ flip[line]
            flat[beyond] = walker
            still = walker >= size32[line]
            beyond, line, walker = beyond[still], line[still], walker[still]
        return value
