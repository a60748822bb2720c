"""Which identities look alike now: from the whole training set to the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from metricface.distributed.alike import on_rank_0
from metricface.given import as_count, as_count_or_none
from metricface.offline import identity_neighbours
from metricface.offline.identity_neighbours import By
from metricface.offline.impostors import Index
from metricface.recipes.batches import InputsOf, Labelled, identity_numbers
from metricface.recipes.embed import Picked, embed_together
from metricface.samplers import HardIdentitySampler


@dataclass(frozen=True)
class LookAlikes:
    """Every so many epochs, embed the training set and let identities that look alike meet.

    Hard batches from a network that knows nothing yet are what makes embeddings collapse. For
    ``warmup`` epochs the sampler therefore keeps the neighbours it was made with: given
    ``neighbours=np.empty((C, 0), int)``, its batches are random until then.

    Attributes:
        every: epochs between two searches, at least 1.
        warmup: epochs before the first, at least 0.
        k: look-alikes listed for each identity.
        by: what tells who looks alike: the ``"mean"`` of an identity's embeddings, a random
            ``"sample"`` of them, or whose images are ``"closest"``, mined from all with all.
        images: how many of each identity are embedded, at random; None is all. With a few, the
            search costs a few steps of training where all would cost an epoch.
        index: how they are sought: ``"exact"``, ``"ivf"`` or ``"hnsw"``.

    Raises:
        ValueError: a number out of its range, another ``by`` or ``index``.
        TypeError: a number that is not whole.

    Example:
        >>> [epoch for epoch in range(8) if LookAlikes(every=2, warmup=3).due(epoch)]
        [3, 5, 7]

    Reference: Liao, Shao, "Graph Sampling Based Deep Metric Learning for Generalizable Person
    Re-Identification", CVPR 2022; Smirnov et al., "Doppelganger Mining for Face Representation
    Learning", ICCVW 2017.
    """

    every: int = 1
    warmup: int = 2
    k: int = 32
    by: By = "mean"
    index: Index = "exact"
    images: int | None = None

    def __post_init__(self) -> None:
        """Counts must be counts, and ways to seek known: the search itself comes late."""
        for name, least in (("every", 1), ("warmup", 0), ("k", 1)):
            as_count(name, getattr(self, name), least)
        as_count_or_none("images", self.images)
        for name, kind in (("by", By), ("index", Index)):
            if (value := getattr(self, name)) not in get_args(kind):
                known = ", ".join(map(repr, get_args(kind)))
                raise ValueError(f"{name} must be one of {known}, got {value!r}")

    def due(self, epoch: int) -> bool:
        """Whether look-alikes are sought before this epoch."""
        return epoch >= self.warmup and (epoch - self.warmup) % self.every == 0

    def refresh(
        self,
        sampler: HardIdentitySampler,
        model: nn.Module,
        data: Labelled,
        *,
        epoch: int,
        workers: int = 0,
        amp: torch.dtype | None = None,
        batch: InputsOf | None = None,
    ) -> None:
        """Hand the sampler the present look-alikes if they are due before this epoch.

        Several processes all call it, and share the work.

        Args:
            sampler: of the data's labels.
            model: embeds it.
            data: the training set.
            epoch: that comes next.
            workers: processes that fetch.
            amp: embeds under autocast in that type.
            batch: takes the inputs from a collated batch of items.
        """
        if not self.due(epoch):
            return
        numbers = identity_numbers(data)
        some = _drawn(numbers, len(numbers) if self.images is None else self.images, epoch)
        embeddings = embed_together(
            model, Picked(data, some), workers=workers, amp=amp, batch=batch
        )
        # One rank decides: with several threads an approximate index may find others.
        found = on_rank_0(
            lambda: identity_neighbours(
                embeddings,
                numbers[some],
                self.k,
                by=self.by,
                index=self.index,
                seed=epoch,
            )
        )
        sampler.set_neighbours(found)


def _drawn(numbers: npt.NDArray[np.int64], images: int, seed: int) -> npt.NDArray[np.int64]:
    """So many items of each identity at random, or all it has, in the order of the items."""
    shuffled = np.random.default_rng(seed).permutation(len(numbers))
    order = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    place = np.arange(len(order)) - np.searchsorted(numbers[order], numbers[order])
    return np.sort(order[place < images])
