"""An epoch that meets every image, in batches of distinct identities."""

from __future__ import annotations

import math

import numpy as np

from metricface.samplers.identity_rounds import Visits
from metricface.samplers.keyed_random import Ints, first_without, generator


class ImageCovering:
    """Epochs in which every identity is visited until each of its images was shown.

    Identity ``i`` with ``n_i`` images needs ``⌈n_i / k⌉`` visits and can have one per batch.
    The shortest epoch of full batches therefore has
    ``max(⌈Σ ⌈n_i / k⌉ / width⌉, max ⌈n_i / k⌉)`` batches. Places that remain go, one by one, to
    the identity whose images are shown least often, with ties broken anew every epoch.

    Args:
        sizes: images per identity, ``[C]``.
        k: images per visit.
        width: identities per batch, at most ``C``.
        seed: of all shuffles.

    Example:
        >>> ImageCovering(np.array([7, 4, 2]), k=2, width=2, seed=0).visits(0).tolist()
        [4, 3, 1]
    """

    def __init__(self, sizes: Ints, k: int, width: int, seed: int) -> None:
        self._seed = seed
        self._width = width
        needed = -(-sizes.astype(np.int64) // k)
        self.batches = int(max(-(-needed.sum() // width), needed.max()))
        self._visits, self._tied = _shared_out(sizes, needed, self.batches, width, k)

    def visits(self, epoch: int) -> Ints:
        """How often each identity is visited in one epoch, ``[C]``."""
        spare = self.batches * self._width - int(self._visits.sum())
        visits: Ints = self._visits.copy()
        visits[generator(self._seed, "spare", epoch).permutation(self._tied)[:spare]] += 1
        return visits

    def epoch(self, epoch: int) -> Visits:
        """The visits of one epoch, batch after batch.

        The identities, shuffled and each as long as it has visits, are laid end to end and cut
        into ``width`` columns of ``batches`` places, and every column is dealt to the batches
        in a random order of its own. No identity is longer than a column, so it can meet
        itself only where one column ends and the next begins; there the order gives way.
        """
        rng = generator(self._seed, "epoch", epoch)
        visits = self.visits(epoch)
        order = rng.permutation(len(visits))
        length = visits[order]
        begin = np.cumsum(length) - length
        owner = np.repeat(np.arange(len(order), dtype=np.int32), length)
        columns = np.arange(0, len(owner), self.batches)
        wrapped = columns - begin[owner[columns]]  # places its first owner had in the last column
        head = np.where(wrapped > 0, length[owner[columns]] - wrapped, 0)
        place = np.empty((self.batches, self._width), dtype=np.int64)
        deal = np.arange(self.batches)
        for column, first in enumerate(columns):
            taken = deal[self.batches - wrapped[column] :]
            deal = first_without(rng.permutation(self.batches), taken, int(head[column]))
            place[deal, column] = np.arange(first, first + self.batches)
        # a column is a place in the batch, and with it a process: nobody keeps one all epoch
        place = rng.permuted(place, axis=1)
        whose = owner[place.ravel()]
        return Visits(order[whose], place.ravel() - begin[whose])


def _shared_out(sizes: Ints, needed: Ints, batches: int, width: int, k: int) -> tuple[Ints, Ints]:
    """Visits per identity, and the identities that tie for the places still open.

    D'Hondt's rule: a further visit goes where it makes ``visits / images`` least. That is
    ``⌊λ n_i⌋`` visits, no fewer than needed and no more than one per batch, for the largest
    ``λ`` that the places allow.
    """

    def at(ratio: float) -> Ints:
        return np.clip(np.floor(ratio * sizes).astype(np.int64), needed, batches)

    places = batches * width
    low, high = 1 / k, float(batches)
    if at(high).sum() <= places:
        return at(high), np.zeros(0, dtype=np.int64)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if at(middle).sum() <= places else (low, middle)
    return at(low), np.flatnonzero(at(math.nextafter(low, high)) > at(low))
