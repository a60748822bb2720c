"""The stream of augmented batches, the same for every method of a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.convergence.folds import jitter
from benchmarks.convergence.settings import Settings
from metricface.samplers import PKSampler


class Batches:
    """Draws P×K batches and jitters them; what comes depends on the seed alone.

    Args:
        images: ``[N, 1, H, W]`` in 0..1.
        labels: identities ``[N]``.
        settings: p, k and the strength of the augmentation.
        seed: of the sampler and of the augmentation.
    """

    def __init__(self, images: Tensor, labels: Tensor, settings: Settings, *, seed: int) -> None:
        self.images = images
        self.labels = labels
        self.settings = settings
        self.sampler = PKSampler(labels, settings.p, settings.k, seed=seed)
        self.generator = torch.Generator().manual_seed(seed)
        self._epoch: Iterator[list[int]] = iter(())

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next batch: images ``[B, 1, H, W]`` and identities ``[B]``."""
        chosen = next(self._epoch, None)
        if chosen is None:
            self._epoch = iter(self.sampler)
            chosen = next(self._epoch)
        index = torch.tensor(chosen, device=self.images.device)
        return jitter(self.images[index], self.settings, self.generator), self.labels[index]

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands."""
        return {"sampler": self.sampler.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.sampler.load_state_dict(state["sampler"])
        self.generator.set_state(state["generator"])
        self._epoch = iter(self.sampler)
