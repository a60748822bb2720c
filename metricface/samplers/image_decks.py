"""The images of an identity, dealt from its own shuffled deck."""

from __future__ import annotations

import numpy as np

from metricface.samplers.keyed_random import Ints, KeyedPermutations, Keys, mix, turned


class ImageDecks:
    """Which images an identity shows on its v-th visit, without the visits before it.

    An identity of ``n`` images shows ``k`` a visit. With ``n > k`` the visits go in rounds of
    ``n // k``; a round deals a fresh random order of the images, ``t = n mod k`` of which it
    leaves out. The images take turns at that, and those left out before come first, so that after
    any visit the images of one identity have been shown equally often, give or take one.
    With ``n <= k`` every image is shown ``k // n`` times and the ``k mod n`` others are dealt
    in that same way.

    Args:
        sizes: images per identity, ``[C]``, at least 1 each.
        k: images per visit.
        seed: of the decks.

    Example:
        >>> decks = ImageDecks(np.array([4]), k=2, seed=0)
        >>> visits = decks.deal(np.array([0, 0]), np.array([0, 1]))
        >>> sorted(visits.ravel().tolist())
        [0, 1, 2, 3]
    """

    def __init__(self, sizes: Ints, k: int, seed: int) -> None:
        self._k = k
        self._slots = np.arange(k)[:, None]
        self._seed = seed
        self._permutations = KeyedPermutations(int(sizes.max()), seed)
        distinct, which = np.unique(sizes, return_inverse=True)
        self._which = which.astype(np.int32)
        self._size = distinct.astype(np.int64)
        self._dealt = k % self._size
        self._step = np.where(self._dealt == 0, self._size, self._dealt)
        self._windows = self._size // self._step
        self._left = self._size % self._step

    def deal(self, identity: Ints, visit: Ints, salt: int = 0) -> Ints:
        """Places of the images within their identity, for a list of visits.

        Args:
            identity: ``[M]``.
            visit: the number of each visit, ``[M]``; any order, any gaps.
            salt: decks of another salt are shuffled independently.

        Returns:
            ``[M, k]``, each in ``[0, size)`` of its identity.
        """
        which = self._which[identity]
        size, left, dealt = self._size[which], self._left[which], self._dealt[which]
        round_, window = np.divmod(visit, self._windows[which])
        cycle, turn = np.divmod(round_, size)
        offset = turn * left % size
        first = window * self._step[which]
        whose = identity.astype(np.int64)
        rest = mix(self._seed, salt)[0].astype(np.int64)
        order_key, round_key = mix(whose, cycle, rest), mix(whose, round_, rest, 1)
        place = self._shuffled(first, offset, left, size, round_key)
        shown: Ints = turned(self._permutations(place, size, order_key), size, order_key)
        whole = np.flatnonzero(dealt < self._k)
        if len(whole):
            spare = self._slots - dealt[whole]
            shown[:, whole] = np.where(spare < 0, shown[:, whole], spare % size[whole])
        dealt_images: Ints = shown.T
        return dealt_images

    def _shuffled(self, first: Ints, offset: Ints, left: Ints, size: Ints, key: Keys) -> Ints:
        """Places ``first … first + k`` of a round's order, ``[k, M]``.

        The images stand in a circle; the round leaves out ``left`` of them from ``offset`` on.
        Those before were left out earlier in this cycle and come first, shuffled; then those
        after, shuffled. Places past the end of a round belong to whole copies: any value does.
        """
        begin = np.maximum(offset + left - size, 0)
        behind = offset - begin
        ahead = size - left - behind
        early = first < behind
        start = np.where(early, first, first - behind)
        count = np.where(early, behind, ahead)
        place = np.minimum(start + self._slots, count - 1)
        result = self._permutations(place, count, np.where(early, ~key, key))
        result += np.where(early, begin, offset + left)
        across = np.flatnonzero(early & (first + self._k > behind) & (ahead > 0))
        if len(across):
            later = (first - behind)[across] + self._slots
            place = np.clip(later, 0, ahead[across] - 1)
            second = self._permutations(place, ahead[across], key[across])
            second += (offset + left)[across]
            result[:, across] = np.where(later >= 0, second, result[:, across])
        return result
