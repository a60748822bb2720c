"""Batches of identities that look alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.given import as_count, as_number
from metricface.samplers.identity_index import LabelSource, Short
from metricface.samplers.identity_rounds import IdentityRounds
from metricface.samplers.identity_sampler import IdentitySampler, Plan
from metricface.samplers.keyed_random import Ints, KeyedPermutations, below, mix
from metricface.samplers.sharing import Rank

_RECOUNT = 1 << 10  # batches recounted at a time when an epoch is resumed in its midst


class HardIdentitySampler(IdentitySampler):
    """Every batch holds identities together with those that look most like them.

    A batch has exactly ``p`` distinct identities and ``k`` images of each. ``hard_fraction`` of
    the identities stand in groups of an anchor and its nearest look-alikes, the others are
    random. With the defaults a batch is one such group: Graph Sampling. Groups of two make
    pairs of doppelgangers. Where the list of an anchor has too few that are not in the batch
    already, random identities take their place.

    An epoch makes each identity an anchor once; those that do not fill a batch come first in
    the next epoch. In an epoch the images of an identity are dealt from one shuffled deck,
    however often it is met. With several processes each has groups of its own, and no identity
    is in two of them; in the order of ranks they make up the batch of one process with
    ``p * world_size`` identities and the same size of group.

    Args:
        labels: identity of every image, integers or strings, ``[N]``; or a torch dataset that has
            them as ``.labels`` or ``.targets``.
        p: identities per batch and process, at least 2.
        k: images per identity, at least 1.
        neighbours: for each identity, in the order of :attr:`identities` (sorted labels), the
            numbers of those that look like it, nearest first, ``[C, K]``. Itself and -1 are
            passed over.
        hard_fraction: share of a batch that stands in groups, in (0, 1].
        group: identities per group, the anchor included; default all of the hard ones.
        short: identities with fewer than ``k`` images: ``"repeat"``, ``"skip"`` or ``"error"``.
        seed: of every shuffle, in ``[0, 2**63)``.
        rank: number of this process; default from ``torch.distributed``, else 0. ``"all"`` for
            a loader that Accelerate prepares: see :class:`PKSampler`.
        world_size: number of processes; default from ``torch.distributed``, else 1.

    Raises:
        ValueError: as :class:`PKSampler`; a share or group that leaves no look-alike;
            neighbours of another shape or out of range.
        TypeError: as :class:`PKSampler`; a share that is no number; other neighbours than integers.

    Example:
        >>> labels = [0, 0, 1, 1, 2, 2, 3, 3]
        >>> alike = [[1], [0], [3], [2]]
        >>> sampler = HardIdentitySampler(labels, p=2, k=1, neighbours=alike)
        >>> sorted(sorted(labels[index] for index in batch) for batch in sampler)
        [[0, 1], [0, 1], [2, 3], [2, 3]]

    Reference:
        Liao, Shao: Graph Sampling Based Deep Metric Learning for Generalizable Person
        Re-Identification (2022), section 3. Smirnov et al.: Doppelganger Mining for Face
        Representation Learning (2017), section 3.
    """

    def __init__(
        self,
        labels: LabelSource,
        p: int,
        k: int,
        neighbours: Tensor | npt.ArrayLike,
        *,
        hard_fraction: float = 1.0,
        group: int | None = None,
        short: Short = "repeat",
        seed: int = 0,
        rank: Rank = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(labels, p, k, short=short, seed=seed, rank=rank, world_size=world_size)
        hard_fraction = as_number("hard_fraction", hard_fraction)
        if not 0 < hard_fraction <= 1:
            raise ValueError(f"hard_fraction must be in (0, 1], got {hard_fraction}")
        hard = round(hard_fraction * self.p)
        self.hard_fraction = hard_fraction
        self.group = hard if group is None else as_count("group", group, 2)
        if not 2 <= self.group <= hard:
            raise ValueError(
                f"a group needs an anchor and a look-alike: got group={self.group} "
                f"among the {hard} hard identities of p={p} at hard_fraction={hard_fraction}"
            )
        self._groups = hard // self.group
        self._rounds = IdentityRounds(len(self._index), self._groups * self.world_size, self.seed)
        self._permutations = KeyedPermutations(len(self._index), self.seed)
        self.set_neighbours(neighbours)

    def batches(self) -> int:
        """Number of batches in a whole epoch; the same for every epoch and process."""
        return self._rounds.batches

    def set_neighbours(self, neighbours: Tensor | npt.ArrayLike) -> None:
        """Replace the look-alikes from the next epoch on; one under way keeps its own.

        Args:
            neighbours: as in the constructor, ``[C, K]``.

        Raises:
            ValueError: another shape, or entries that are no identity.
            TypeError: not integers.
        """
        raw = neighbours.detach().cpu() if isinstance(neighbours, Tensor) else neighbours
        table, count = np.asarray(raw), len(self._index.code)
        if table.ndim != 2 or len(table) != count:
            raise ValueError(
                f"neighbours must have a row for each of {count} identities, got {table.shape}"
            )
        if table.dtype.kind not in "iu":
            raise TypeError(f"neighbours must be integers, got {table.dtype}")
        if table.size and (table.min() < -1 or table.max() >= count):
            raise ValueError(
                f"neighbours must be in [-1, {count}), got {table.min()} to {table.max()}"
            )
        self._neighbours = table.astype(np.int32)

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """As in every sampler, with the neighbours of its epoch and those of the next."""
        state = super().state_dict(done)
        running = self._pass is not None and state["epoch"] == self._pass.epoch
        now = self._in_use if running else self._neighbours_of(state["epoch"])
        state["neighbours"] = torch.from_numpy(now)
        if now is not self._neighbours:
            state["next_neighbours"] = torch.from_numpy(self._neighbours)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As in every sampler; the neighbours become those of the saved run."""
        if "neighbours" not in state:
            raise ValueError("not a state of HardIdentitySampler: it lacks neighbours")
        super().load_state_dict(state)
        self.set_neighbours(state["neighbours"])
        self._resumed = self._neighbours
        if "next_neighbours" in state:
            self.set_neighbours(state["next_neighbours"])

    def _other_batches(self, p: int, world_size: int) -> str | None:
        """Random identities stand at the end of each process's part, wherever that is."""
        parts = {p, self.p}
        whole = all(round(self.hard_fraction * n) == n and n % self.group == 0 for n in parts)
        if whole or len(parts) == 1:
            return super()._other_batches(p, world_size)
        return (
            "on another number of processes the batches are the same only where every part is "
            f"made of whole groups, with hard_fraction=1 and p a multiple of group={self.group}"
        )

    def _settings(self) -> dict[str, Any]:
        ours = {"hard_fraction": self.hard_fraction, "group": self.group}
        return {**super()._settings(), **ours}

    def _neighbours_of(self, epoch: int) -> npt.NDArray[np.int32]:
        """Those of an epoch that comes next: one that a state is in the midst of has its own."""
        first, batch = self._start
        return self._resumed if batch and epoch == first else self._neighbours

    def _plan(self, epoch: int) -> Plan:
        self._in_use = self._neighbours_of(epoch)
        draw = self._identities_of(epoch)
        shown = np.zeros(len(self._index), dtype=np.int64)
        counted = 0

        def batches(start: int, stop: int) -> Ints:
            nonlocal counted
            while counted < start:
                until = min(counted + _RECOUNT, start)
                _visits(draw(counted, until).ravel(), shown)
                counted = until
            identity = draw(start, stop)
            visit = _visits(identity.ravel(), shown).reshape(identity.shape)
            counted = stop
            return self._dealt(identity, visit, epoch + 1)

        return batches

    def _identities_of(self, epoch: int) -> Callable[[int, int], Ints]:
        """The identities of batches ``start … stop`` over all processes, ``[batches, width]``."""
        code = self._index.code
        alike: Ints = np.append(code, -1).astype(np.int32)[self._in_use[code >= 0]]
        anchors = self._rounds.epoch(epoch).identity.reshape(self.batches(), self.world_size, -1)

        def draw(start: int, stop: int) -> Ints:
            batch = np.full((stop - start, self.width), -1, dtype=np.int64)
            parts = batch.reshape(stop - start, self.world_size, self.p)
            parts[:, :, : self._groups * self.group : self.group] = anchors[start:stop]
            for process in range(self.world_size):
                for group in range(self._groups):
                    first = process * self.p + group * self.group
                    _fill(batch, slice(first, first + self.group), alike[batch[:, first]])
            if (batch < 0).any():
                _fill(batch, slice(None), self._random(epoch, start, stop))
            return batch

        return draw

    def _random(self, epoch: int, start: int, stop: int) -> Ints:
        """Random identities for each of some batches, enough for every place in it."""
        count, number = len(self._index), np.arange(start, stop)
        slot = np.arange(2 * self.width)[:, None]
        guesses = below(np.array(count), mix(number, slot, epoch, self.seed) >> np.uint64(32))
        # the guesses may repeat; a permutation cannot, so that the smallest sets fill up too
        key = mix(number, np.array(-1), epoch, self.seed)
        certain = self._permutations(
            np.broadcast_to(slot[: self.width], (self.width, len(number))),
            np.full(len(number), count),
            key,
        )
        candidates: Ints = np.concatenate([guesses, certain]).T
        return candidates


def _fill(batch: Ints, columns: slice, candidates: Ints) -> None:
    """Put the first candidates that are not in their batch yet into its open places.

    Args:
        batch: ``[M, P]``, -1 where open; changed in place.
        columns: which places to fill.
        candidates: ``[M, K]``, -1 where there is none.
    """
    both = np.concatenate([batch, candidates], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    ranked = np.take_along_axis(both, order, axis=1)
    new = np.ones_like(both, dtype=bool)
    np.put_along_axis(new, order[:, 1:], ranked[:, 1:] != ranked[:, :-1], axis=1)
    new = new[:, batch.shape[1] :] & (candidates >= 0)
    places = batch[:, columns]
    open_ = places < 0
    given = new & (np.cumsum(new, axis=1) <= open_.sum(axis=1, keepdims=True))
    filled = open_ & (np.cumsum(open_, axis=1) <= given.sum(axis=1, keepdims=True))
    places[filled] = candidates[given]


def _visits(identity: Ints, shown: Ints) -> Ints:
    """The number of each visit in a list; ``shown`` counts the earlier ones, and then these."""
    order = np.argsort(identity, kind="stable")
    who, first, times = np.unique(identity[order], return_index=True, return_counts=True)
    visit = np.empty(len(identity), dtype=np.int64)
    visit[order] = np.arange(len(identity)) - np.repeat(first - shown[who], times)
    shown[who] += times
    return visit
