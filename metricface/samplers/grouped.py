"""Batches whose identities all belong to one super-class."""

from __future__ import annotations

import zlib
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from metricface.given import as_count
from metricface.samplers.identity_index import LabelSource, Short
from metricface.samplers.identity_rounds import IdentityRounds, Visits
from metricface.samplers.identity_sampler import IdentitySampler, Plan
from metricface.samplers.keyed_random import Ints, generator, mix
from metricface.samplers.sharing import Rank
from metricface.types import Labels, numbered

Small: TypeAlias = Literal["skip", "error"]
"""What to do with a group that has fewer identities than a batch."""


class GroupedPKSampler(IdentitySampler):
    """Every batch has ``p`` distinct identities of one group, with ``k`` images of each.

    For labels with two levels, such as models within kinds of product, or people within age
    classes: the negatives of a batch are then as alike as the group makes them. Groups get
    batches in proportion to their identities: after ``T`` batches a group has had its share of
    ``T``, give or take one at the end of an epoch. Within a group identities are visited, and
    images dealt, as by :class:`PKSampler`: none comes again before every other came as often.

    Args:
        labels: identity of every image, integers or strings, ``[N]``; or a torch dataset that has
            them as ``.labels`` or ``.targets``.
        p: identities per batch and process, at least 1.
        k: images per identity, at least 1.
        groups: group of every image, integers or strings, ``[N]``; one for all of an identity.
        small: a group with fewer than ``p * world_size`` identities is left out (``"skip"``) or
            an error (``"error"``).
        short: identities with fewer than ``k`` images: ``"repeat"``, ``"skip"`` or ``"error"``.
        seed: of every shuffle, in ``[0, 2**63)``.
        rank: number of this process; default from ``torch.distributed``, else 0. ``"all"`` for
            a loader that Accelerate prepares: see :class:`PKSampler`.
        world_size: number of processes; default from ``torch.distributed``, else 1.

    Raises:
        ValueError: as :class:`PKSampler`; groups of another length; an identity in two groups;
            a group too small for a batch.
        TypeError: as :class:`PKSampler`; groups that are neither integers nor strings.

    Example:
        >>> labels = ["fiat", "audi", "oak", "elm"]
        >>> kinds = ["car", "car", "tree", "tree"]
        >>> sampler = GroupedPKSampler(labels, p=2, k=1, groups=kinds)
        >>> sorted(sorted(labels[index] for index in batch) for batch in sampler)
        [['audi', 'fiat'], ['elm', 'oak']]
    """

    def __init__(
        self,
        labels: LabelSource,
        p: int,
        k: int,
        groups: Labels,
        *,
        small: Small = "error",
        short: Short = "repeat",
        seed: int = 0,
        rank: Rank = None,
        world_size: int | None = None,
    ) -> None:
        if small not in get_args(Small):
            raise ValueError(f"small must be 'skip' or 'error', got {small!r}")
        super().__init__(labels, p, k, short=short, seed=seed, rank=rank, world_size=world_size)
        self.small = small
        names, group = self._group_of_identity(groups)
        size = np.bincount(group, minlength=len(names))
        enough = size >= self.width
        if not enough.any() or (small == "error" and not enough.all()):
            shown = ", ".join(
                f"{names[g].item()!r} ({size[g]})" for g in np.flatnonzero(~enough)[:5]
            )
            raise ValueError(
                f"{(~enough).sum()} of {len(names)} groups have fewer than the {self.width} "
                f"identities of a batch: {shown}"
            )
        begin = np.cumsum(size) - size
        order = np.argsort(group, kind="stable")
        self._members = [order[begin[g] : begin[g] + size[g]] for g in np.flatnonzero(enough)]
        self._upto = np.cumsum([0, *(len(members) for members in self._members)])
        self._rounds = [
            IdentityRounds(len(members), self.width, int(mix(self.seed, number, 2)[0] >> 1))
            for number, members in enumerate(self._members)
        ]
        self._checksum = zlib.crc32(group.astype("<i8").tobytes())

    def batches(self) -> int:
        """Number of batches in a whole epoch; the same for every epoch and process."""
        return int(self._upto[-1]) // self.width

    def batches_per_group(self, epoch: int) -> list[int]:
        """How many batches each group has in one epoch, without groups left out."""
        epoch = as_count("epoch", epoch, 0)
        return [int(n) for n in self._turns(epoch + 1) - self._turns(epoch)]

    def _turns(self, epoch: int) -> Ints:
        """Batches of each group before one epoch: shares of the total, rounded so as to add up."""
        total = epoch * self.batches()
        return np.diff(np.array([total * int(n) // int(self._upto[-1]) for n in self._upto]))

    def _plan(self, epoch: int) -> Plan:
        before, after = self._turns(epoch), self._turns(epoch + 1)
        rng = generator(self.seed, "groups", epoch)
        turn = rng.permutation(np.repeat(np.arange(len(self._members)), after - before))
        identity = np.empty((self.batches(), self.width), dtype=np.int64)
        earlier = np.empty_like(identity)
        for group, members in enumerate(self._members):
            visits = self._visits(group, int(before[group]), int(after[group]))
            identity[turn == group] = members[visits.identity]
            earlier[turn == group] = visits.earlier
        return lambda start, stop: self._dealt(identity[start:stop], earlier[start:stop])

    def _visits(self, group: int, start: int, stop: int) -> Visits:
        """Batches ``start … stop`` of a group since the beginning, ``[stop - start, width]``.

        A group has epochs of its own, which begin and end within those of the sampler.
        """
        rounds = self._rounds[group]
        own = range(start // rounds.batches, -(-stop // rounds.batches))
        parts = [rounds.epoch(number) for number in own]
        if not parts:
            return Visits(*(np.zeros((0, self.width), dtype=np.int64),) * 2)
        cut = slice(start - own.start * rounds.batches, stop - own.start * rounds.batches)
        whole = (np.concatenate(part).reshape(-1, self.width) for part in zip(*parts, strict=True))
        return Visits(*(part[cut] for part in whole))

    def _group_of_identity(self, groups: Labels) -> tuple[Ints, Ints]:
        """Names of the groups and the number of each identity's."""
        index = self._index
        of_image, names = numbered(groups, "groups", count=len(index.order), of="labels")
        group = of_image[index.order[index.start]]
        owner = index.of_images()
        stray = np.flatnonzero((owner >= 0) & (of_image != group[owner]))
        if len(stray):
            who, kinds = owner[stray[0]], names[[group[owner[stray[0]]], of_image[stray[0]]]]
            raise ValueError(
                f"identity {index.names[index.code == who].item()!r} is in two groups: "
                + " and ".join(repr(kind) for kind in kinds.tolist())
            )
        return names, group

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "small": self.small, "groups": self._checksum}
