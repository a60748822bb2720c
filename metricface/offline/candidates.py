"""Which impostors may be mined for which anchor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.product import squared_differences
from metricface.distances.rows import Rows
from metricface.identities import Matches
from metricface.offline.neighbours import Neighbours


@dataclass(frozen=True)
class Candidates:
    """Another identity, and a distance within what is allowed for the anchor.

    Attributes:
        codes: number of each sample's identity ``[N]``.
        distance: what the bounds are measured in.
        lower: an impostor nearer than this is passed over, ``[N]``; None: no bound.
        upper: nor is one as far as this taken, ``[N]``; None: no bound.
    """

    codes: Tensor
    distance: Distance
    lower: Tensor | None = None
    upper: Tensor | None = None

    def hide(self, squared: Tensor, anchors: Tensor, columns: Tensor) -> None:
        """Overwrite with infinity who is of the anchor's identity, or too near, in a tile."""
        codes = self.codes.to(squared.device)
        if self.lower is not None:
            bound = self.lower.to(squared.device)[anchors, None]
            near = self.distance.from_squared(squared.clamp(min=0)) < bound
            squared.masked_fill_(near, torch.inf)
        Matches(codes[anchors], codes[columns]).block().hide_(squared)

    def allowed(self, found: Tensor, anchors: Tensor, squared: Tensor) -> Tensor:
        """Which of the found ``[b, n]`` (-1: none) are of another identity and not too near."""
        answer = (found >= 0) & (self.codes[found.clamp(min=0)] != self.codes[anchors, None])
        if self.lower is not None:
            far = self.distance.from_squared(squared.clamp(min=0)) >= self.lower[anchors, None]
            answer &= far
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


_PAIRS = 1 << 15  # measured together


def measured(
    rows: Rows,
    anchors: Tensor,
    found: Tensor,
    distance: Distance,
    *,
    farthest: bool = False,
) -> Neighbours:
    """Exact distances of what was found by a product, in their order; ties by row number.

    Args:
        rows: all samples.
        anchors: row numbers ``[A]``.
        found: row numbers ``[A, k]``, -1 where there is none.
        distance: what is measured.
        farthest: farthest first.

    Example:
        >>> from metricface.distances import Euclidean
        >>> rows = Rows(torch.tensor([[0.0], [1.0], [5.0]]), Euclidean(normalize=False))
        >>> found = torch.tensor([[2, 1]])
        >>> measured(rows, torch.tensor([0]), found, Euclidean(normalize=False)).distances
        array([[1., 5.]], dtype=float32)
    """
    k = found.shape[1]
    worst = -torch.inf if farthest else torch.inf
    # Filled, not gathered in a list: small tensors kept between large ones scatter the heap.
    distances = torch.empty(len(anchors), k, dtype=rows.dtype)
    indices = torch.empty(len(anchors), k, dtype=torch.int64)
    for some in torch.split(torch.arange(len(anchors)), max(1, _PAIRS // max(1, k))):
        mine = found[some].cpu().sort(dim=1).values
        x = rows[anchors[some]].repeat_interleave(k, dim=0)
        squared = squared_differences(x, rows[mine.flatten().clamp(min=0)])
        values = distance.from_squared(squared).view(-1, k).to("cpu", rows.dtype)
        values = values.where(mine >= 0, worst)
        distances[some], order = values.sort(dim=1, descending=farthest, stable=True)
        indices[some] = mine.gather(1, order)
    return Neighbours(distances.numpy(), indices.numpy())
