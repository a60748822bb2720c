"""Which impostors may be mined for which anchor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.identities import Matches
from metricface.offline.neighbours import Neighbours


@dataclass(frozen=True)
class Candidates:
    """An impostor of an anchor may be mined if its distance is within the anchor's bounds.

    Attributes:
        codes: number of each sample's identity ``[N]``.
        distance: what the bounds are measured in.
        lower: least distance of an impostor, for each anchor ``[N]``; None: no bound.
        upper: an impostor must be nearer than this, for each anchor ``[N]``; None: no bound.
    """

    codes: Tensor
    distance: Distance
    lower: Tensor | None = None
    upper: Tensor | None = None

    def on(self, device: torch.device) -> Candidates:
        """The same for tiles on a device: moved there once, since every tile asks."""
        bounds = (None if each is None else each.to(device) for each in (self.lower, self.upper))
        return Candidates(self.codes.to(device), self.distance, *bounds)

    def hide(self, squared: Tensor, anchors: Tensor, columns: Tensor) -> None:
        """Overwrite with infinity, in a tile, the anchor's own identity and who is too near."""
        if self.lower is not None:
            near = self.distance.from_squared(squared.clamp(min=0)) < self.lower[anchors, None]
            squared.masked_fill_(near, torch.inf)
        Matches(self.codes[anchors], self.codes[columns]).block().hide_(squared)

    def allowed(self, found: Tensor, anchors: Tensor, squared: Tensor) -> Tensor:
        """Which of the found ``[b, n]`` (-1: none) are of another identity and not too near."""
        answer = (found >= 0) & (self.codes[found.clamp(min=0)] != self.codes[anchors, None])
        if self.lower is not None:
            answer &= self.distance.from_squared(squared.clamp(min=0)) >= self.lower[anchors, None]
        return answer

    def beyond(self, anchors: Tensor, squared: Tensor) -> Tensor:
        """Whether the last column of ascending distances ``[b, n]`` is past the upper bound."""
        if self.upper is None:
            return torch.zeros(len(anchors), dtype=torch.bool)
        return self.distance.from_squared(squared[:, -1].clamp(min=0)) >= self.upper[anchors]

    def bounded(self, found: Neighbours, anchors: Tensor) -> Neighbours:
        """Only what is within the bounds, closed up at the front of each row."""
        distances = torch.from_numpy(found.distances)
        within = torch.from_numpy(found.indices >= 0)
        if self.lower is not None:
            within &= distances >= self.lower[anchors, None]
        if self.upper is not None:
            within &= distances < self.upper[anchors, None]
        order = (~within).int().argsort(dim=1, stable=True)
        kept = within.gather(1, order)
        indices = torch.from_numpy(found.indices).gather(1, order)
        return Neighbours(
            distances.gather(1, order).where(kept, torch.inf).numpy(),
            indices.where(kept, -1).numpy(),
        )
