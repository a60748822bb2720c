"""The order in which identities are visited, epoch after epoch, with nobody starved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metricface.samplers.keyed_random import Ints, first_without, generator


class Visits(NamedTuple):
    """One epoch: the identities in their order, and the number of earlier visits of each."""

    identity: Ints
    earlier: Ints


class IdentityRounds:
    """Epochs of whole batches of distinct identities.

    With ``r = count mod width`` an epoch visits ``count - r`` identities once each and leaves
    ``r`` out; these all come in the first batch of the next epoch. After any batch of any epoch
    the identities have been visited equally often, give or take one.

    Those left out follow a stream of shuffled passes over the identities, ``r`` an epoch. In
    the midst of a pass, the identities it has reached are one visit behind: an epoch takes
    them first. Computing epoch ``e`` costs one shuffle and ``e * r`` steps along that stream.

    Args:
        count: number of identities.
        width: identities per batch, at most ``count``.
        seed: of all shuffles.

    Example:
        >>> rounds = IdentityRounds(5, 2, seed=0)
        >>> missed = set(range(5)) - set(rounds.epoch(0).identity.tolist())
        >>> missed <= set(rounds.epoch(1).identity[:2].tolist())
        True
    """

    def __init__(self, count: int, width: int, seed: int) -> None:
        self._count = count
        self.batches = count // width
        self._left = count % width
        self._seed = seed
        self._known = (0, self._fresh(0))  # a pass of the stream, to go on from

    def visits(self, epoch: int) -> Ints:
        """How often each identity is visited in one epoch, ``[count]``: once or not at all."""
        return np.bincount(self.epoch(epoch).identity, minlength=self._count)

    def epoch(self, epoch: int) -> Visits:
        """The visits of one epoch, a whole number of batches."""
        now = epoch * self._left
        done = now // self._count  # whole passes: everybody was left out so often
        first = max(now - self._left, 0) // self._count
        stream = self._stream(first, max(now + self._left - 1, 0) // self._count)
        now -= first * self._count
        missed = stream[max(now - self._left, 0) : now]
        behind = np.zeros(self._count, dtype=bool)
        behind[stream[(done - first) * self._count : now]] = True
        open_ = np.ones(self._count, dtype=bool)
        open_[missed] = False
        open_[stream[now : now + self._left]] = False
        rng = generator(self._seed, "epoch", epoch)
        parts = (missed, np.flatnonzero(open_ & behind), np.flatnonzero(open_ & ~behind))
        identity = np.concatenate([rng.permutation(part) for part in parts])
        return Visits(identity, epoch - done - behind[identity])

    def _stream(self, first: int, last: int) -> Ints:
        """The identities left out, in passes ``first`` to ``last``."""
        number, order = self._known if self._known[0] <= first else (0, self._fresh(0))
        passes = []
        while True:
            if number == first:
                self._known = (number, order)
            if number >= first:
                passes.append(order)
            if number == last:
                return np.concatenate(passes)
            number += 1
            order = self._after(order, number)

    def _fresh(self, number: int) -> Ints:
        return generator(self._seed, "left out", number).permutation(self._count)

    def _after(self, last: Ints, number: int) -> Ints:
        """The pass after ``last``, in which nobody is left out of two epochs in a row.

        The last ``tail`` of the old pass and the first ``head`` of the new one miss one epoch
        together. Nobody may be among both, nor miss the epoch before or after.
        """
        tail = (number * self._count - 1) % self._left + 1
        head = self._left - tail
        order = first_without(self._fresh(number), last[-(self._left + tail) :], head)
        rest = first_without(order[head:], last[-tail:], self._left)
        return np.concatenate([order[:head], rest])
