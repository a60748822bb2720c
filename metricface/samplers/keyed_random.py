"""Random orders that depend on nothing but the numbers they are asked for."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from metricface.splitmix import mixed

Ints: TypeAlias = npt.NDArray[Any]
"""Integers of any width."""

Keys: TypeAlias = npt.NDArray[np.uint64]

_EXACT = 64  # sizes up to here have a pool of their own, larger ones that of a power of two
_POOL = 1 << 14  # entries of a pool: 4096 orders of 4, 256 of 64, one of 16,384 and above
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_WEYL = np.array(
    [0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7, 0xABC98388FB8FAC03],
    dtype=np.uint64,
)


def generator(seed: int, role: str, number: int) -> np.random.Generator:
    """The random generator of one role (say, the order of epoch 3), independent of all others.

    Example:
        >>> int(generator(0, "epoch", 3).integers(1000))
        488
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
    """One well-mixed 64-bit key from up to four integers (the splitmix64 finaliser)."""
    key: Keys = np.zeros(1, dtype=np.uint64)
    for weight, part in zip(_WEYL, parts, strict=False):
        key = key + np.asarray(part).astype(np.uint64) * weight
    return mixed(key.view(np.int64)).view(np.uint64)


class KeyedPermutations:
    """Permutations of any size of which single places can be looked up, in O(1) each.

    For every size there is a pool of random orders; a key picks one of them and the place in it
    to begin at. Large sizes share the pool of the next power of two, and values beyond the size
    are walked over, which leaves a permutation of exactly that size. Nothing of the length of
    the permutation is built when one is asked for, so the deck of an identity with a million
    images costs no more than that of one with four.

    Args:
        largest: largest size that will be asked for, at least 1.
        seed: of the pools.

    Example:
        >>> permutations = KeyedPermutations(5, seed=0)
        >>> places = np.arange(5)[:, None]
        >>> sorted(permutations(places, np.array([5]), mix(7)).ravel().tolist())
        [0, 1, 2, 3, 4]
    """

    def __init__(self, largest: int, seed: int) -> None:
        rng = generator(seed, "pool", 0)
        powers = range(_EXACT.bit_length(), (largest - 1).bit_length() + 1)
        spans = np.array([*range(1, min(largest, _EXACT) + 1), *(1 << e for e in powers)])
        pools = []
        for span in spans.tolist():
            orders = np.broadcast_to(np.arange(span, dtype=np.int32), (max(_POOL // span, 1), span))
            # written twice in a row, so that an order can be read from any place on
            pools.append(np.tile(rng.permuted(orders, axis=1), 2).ravel())
        self._pool = np.concatenate(pools)
        self._which = np.searchsorted(spans, np.arange(largest + 1)).astype(np.int8)
        self._span = spans
        self._orders = np.maximum(_POOL // spans, 1).astype(np.uint32)
        self._begin = np.cumsum([0, *(len(pool) for pool in pools[:-1])])

    def __call__(self, place: Ints, size: Ints, key: Keys) -> Ints:
        """The entries at some places of ``M`` permutations.

        Args:
            place: ``[k, M]``, each in ``[0, size)`` of its column. Columns are permutations, not
                rows, because numpy is several times faster along a long last dimension.
            size: ``[M]``, at least 1.
            key: ``[M]``, which permutation of that size.

        Returns:
            ``[k, M]``; entries of a column differ where its places differ.
        """
        which = self._which[size]
        span = self._span[which]
        first = self._begin[which] + 2 * span * below(self._orders[which], key & _LOW)
        first += below(span, key >> _HALF)
        value: Ints = self._pool.take(place + first)
        if size.max() > _EXACT:
            row, column = np.nonzero(value >= size)
            while len(row):
                value[row, column] = self._pool.take(value[row, column] + first[column])
                still = value[row, column] >= size[column]
                row, column = row[still], column[still]
        return value


def turned(value: Ints, size: Ints, key: Keys) -> Ints:
    """Values ``[k, M]`` in ``[0, size)``, all of a column moved on by the same random amount."""
    moved: Ints = value + below(size, key >> np.uint64(16) & _LOW)
    moved -= size * (moved >= size)
    return moved


def below(bound: Ints, bits: Keys) -> Ints:
    """Numbers in ``[0, bound)``, which is at most 2**31, from 32 random bits each."""
    number: Ints = ((bits * bound.astype(np.uint64)) >> _HALF).astype(np.int64)
    return number
