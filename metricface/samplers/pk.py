"""Batches of p identities with k images each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from metricface.given import as_count
from metricface.samplers.identity_index import LabelSource, Short
from metricface.samplers.identity_rounds import IdentityRounds
from metricface.samplers.identity_sampler import IdentitySampler, Plan
from metricface.samplers.image_covering import ImageCovering
from metricface.samplers.sharing import Rank

Coverage: TypeAlias = Literal["identities", "images"]
"""What an epoch meets once: every identity, or every image."""


@dataclass(frozen=True)
class EpochReport:
    """What one epoch will show, over all processes, known before it starts.

    Attributes:
        batches: number of batches.
        draws: images in all batches together.
        images: images in the data set.
        met: different images among the draws.
        repeats: ``draws - met``.
        most: how often the most shown image is shown.
        skipped: images of identities left out by ``short="skip"``.
    """

    batches: int
    draws: int
    images: int
    met: int
    repeats: int
    most: int
    skipped: int

    def __str__(self) -> str:
        return (
            f"{self.batches:,} batches of {self.draws // self.batches:,}: {self.met:,} of "
            f"{self.images:,} images met, {self.repeats:,} repeats, one image at most "
            f"{self.most:,} times" + (f", {self.skipped:,} skipped" if self.skipped else "")
        )


class PKSampler(IdentitySampler):
    """Every batch has exactly ``p`` distinct identities and ``k`` images of each.

    Give it to a ``DataLoader`` as ``batch_sampler``; as ``sampler`` each batch would be taken
    for the index of one image. A batch is a list of ``p * k`` dataset
    indices, identity after identity. The ``k`` images of an identity are distinct wherever it
    has ``k``, and are dealt from its own shuffled deck: none comes again before every other
    one came as often.

    An epoch of ``coverage="identities"`` visits each identity once; ``count mod p`` of them are
    left out and come in the first batch of the next epoch. An epoch of ``coverage="images"``
    shows every image at least once, in as few batches as that allows; :meth:`report` says what
    it repeats.

    Which batches come depends on the labels, the settings and the number of the epoch alone.
    With several processes the batch of all of them has ``p * world_size`` distinct identities
    and each process gets its part: in the order of ranks they make up the batch of one process
    with that many. Where a trainer shares the batches of a loader out by itself, as Accelerate
    does with those it prepares, give ``rank="all"``: each process is then handed the same part.

    Args:
        labels: identity of every image, integers or strings, ``[N]``; or a torch dataset that has
            them as ``.labels`` or ``.targets``.
        p: identities per batch and process, at least 1.
        k: images per identity, at least 1.
        coverage: what an epoch is to meet, ``"identities"`` or ``"images"``.
        short: an identity with fewer than ``k`` images repeats them as evenly as can be
            (``"repeat"``), is left out (``"skip"``), or is an error (``"error"``).
        seed: of every shuffle, in ``[0, 2**63)``.
        rank: number of this process; default from ``torch.distributed``, else 0. ``"all"``
            yields the parts of all processes, one after the other: for a loader prepared by
            Accelerate, which hands every process its own.
        world_size: number of processes; default from ``torch.distributed``, else 1.

    Raises:
        ValueError: ``p``, ``k``, ``seed``, ``rank`` out of range; fewer identities than a batch
            needs; with ``short="error"`` identities of too few images.
        TypeError: labels that are neither integers nor strings; a setting that is no integer.

    Example:
        >>> labels = ["ann", "bob", "cat", "ann", "bob", "cat", "cat"]
        >>> sampler = PKSampler(labels, p=2, k=2, seed=1)
        >>> for batch in sampler:
        ...     print([labels[index] for index in batch])
        ['bob', 'bob', 'ann', 'ann']

    Reference:
        Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person Re-Identification
        (2017), section 2: the PK batch.
    """

    def __init__(
        self,
        labels: LabelSource,
        p: int,
        k: int,
        *,
        coverage: Coverage = "identities",
        short: Short = "repeat",
        seed: int = 0,
        rank: Rank = None,
        world_size: int | None = None,
    ) -> None:
        if coverage not in get_args(Coverage):
            raise ValueError(f"coverage must be 'identities' or 'images', got {coverage!r}")
        super().__init__(labels, p, k, short=short, seed=seed, rank=rank, world_size=world_size)
        self.coverage = coverage
        self._schedule: IdentityRounds | ImageCovering
        if coverage == "images":
            self._schedule = ImageCovering(self._index.size, self.k, self.width, self.seed)
        else:
            self._schedule = IdentityRounds(len(self._index), self.width, self.seed)

    def batches(self) -> int:
        """Number of batches in a whole epoch; the same for every epoch and process."""
        return self._schedule.batches

    def report(self, epoch: int = 0) -> EpochReport:
        """What one epoch will show, over all processes.

        Example:
            >>> print(PKSampler([0, 0, 0, 1, 1], p=2, k=2, coverage="images").report())
            2 batches of 4: 5 of 5 images met, 3 repeats, one image at most 2 times
        """
        visits = self._schedule.visits(as_count("epoch", epoch, 0))
        size, draws = self._index.size, visits * self.k
        met = int(np.minimum(draws, size).sum())
        return EpochReport(
            batches=self.batches(),
            draws=int(draws.sum()),
            images=len(self._index.order),
            met=met,
            repeats=int(draws.sum()) - met,
            most=int((-(-draws // size)).max()),
            skipped=len(self._index.order) - int(size.sum()),
        )

    def _plan(self, epoch: int) -> Plan:
        visits = self._schedule.epoch(epoch)
        identity, earlier = (each.reshape(self.batches(), self.width) for each in visits)
        # an epoch that covers the images begins every deck anew
        salt = epoch + 1 if self.coverage == "images" else 0
        return lambda start, stop: self._dealt(identity[start:stop], earlier[start:stop], salt)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "coverage": self.coverage}
