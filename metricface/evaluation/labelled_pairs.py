"""Every unordered pair of a labelled set, met once, in tiles of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.rows import Rows
from metricface.distances.tiles import squared_tiles
from metricface.distributed.together import ALONE, Together
from metricface.given import as_count
from metricface.types import Embeddings, Labels, numbered

_SLACK = 1.0001  # rounding in a product may put a pair a little beyond its distance


class PairTile(NamedTuple):
    """Distances of the samples ``rows`` to the samples ``columns``, gone at the next tile.

    ``mask`` says which pairs are meant. It is None where all are, which is so for nearly every
    tile.
    """

    rows: slice
    columns: slice
    distances: Tensor
    mask: Tensor | None

    def pick(self, matrix: Tensor) -> Tensor:
        """The entries of a matrix of this tile's shape of the pairs that are meant, flat.

        Where all are meant they are not copied.
        """
        return matrix.flatten() if self.mask is None else matrix[self.mask]


class LabelledPairs:
    """The genuine and the impostor pairs of a labelled set.

    Samples are sorted by identity, so that genuine pairs lie beside the diagonal: they are found
    without visiting the other tiles, and other tiles need no mask. Both kinds of pair come from
    the same tiles, so a tie between them is not decided by two ways of rounding.

    Args:
        embeddings: floating ``[N, D]``.
        labels: one identity per row.
        distance: what is measured; smaller is closer.
        block: side of a tile; memory is O(block²) beside the embeddings.
        together: the ranks that share the impostors among them; each meets the genuine pairs,
            which are few.

    Raises:
        ValueError: bad embeddings or label count; no genuine or no impostor pair; block below 1;
            ranks that hold different sets.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> unnormalised = SquaredEuclidean(normalize=False)
        >>> x = torch.tensor([[0.0], [3.0], [1.0]])
        >>> pairs = LabelledPairs(x, [7, 8, 7], distance=unnormalised, block=2)
        >>> pairs.genuine(), [tile.pick(tile.distances) for tile in pairs.impostors()]
        (tensor([1.]), [tensor([9., 4.])])
    """

    def __init__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        *,
        distance: Distance,
        block: int,
        together: Together = ALONE,
    ) -> None:
        block = as_count("block", block)
        x = Rows(embeddings, distance)
        codes = torch.from_numpy(numbered(labels, count=len(x)).numbers)
        together.agree({**x.facts(), "labels": codes, "block": block})
        order = torch.argsort(codes, stable=True)
        count = torch.bincount(codes)
        self.genuine_count = int((count * (count - 1) // 2).sum())
        self.impostor_count = len(x) * (len(x) - 1) // 2 - self.genuine_count
        if self.genuine_count == 0:
            raise ValueError(f"no two of the {len(x)} samples share an identity")
        if self.impostor_count == 0:
            raise ValueError(f"all {len(x)} samples are of one identity: there is no impostor")
        #: Row number, in the embeddings as given, of each sample in the order of the tiles.
        self.order = order
        self._rows = x.in_order(order)
        #: The number of each sample's identity, in the order of the tiles.
        self.identities = codes[order]
        # Sorted by identity, the impostors to the right of a row begin where its identity ends.
        first = count.cumsum(0)[self.identities]
        right = len(x) - first
        self._ordinal = right.cumsum(0) - right - first
        #: The ranks that share the impostors.
        self.together = together
        self._distance, self._block = distance, block

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.identities)

    def bound(self) -> float:
        """A distance that no two samples exceed; squared, at most 4 times the largest there is.

        Twice the radius about the mean, or the most that unit vectors can be apart.
        """
        stretches = list(self._rows.stretches())
        total = sum(self._rows.plain(part).double().sum(0) for part in stretches)
        mean = torch.as_tensor(total) / len(self)
        radius = max(
            float(torch.linalg.vector_norm(self._rows.plain(part) - mean, dim=1).max())
            for part in stretches
        )
        squared = _SLACK * (2 * radius) ** 2
        if self._distance.normalize:
            squared = min(squared, 4.0)
        return float(self._distance.from_squared(torch.tensor(squared, dtype=torch.float64)))

    def genuine(self) -> Tensor:
        """Distances of all pairs of one identity, ascending, ``[genuine_count]``."""
        found = [tile.pick(tile.distances) for tile in self.genuine_tiles()]
        return torch.cat(found).sort().values

    def genuine_tiles(self) -> Iterator[PairTile]:
        """Distances of all pairs of one identity, tile by tile."""
        for tile in self._tiles(touching=True):
            same = self.identities[tile.rows, None] == self.identities[None, tile.columns]
            # Sorted by identity and, within one, by row: each pair is met once, above the diagonal.
            same = same.triu(diagonal=1 + tile.rows.start - tile.columns.start)
            yield tile._replace(mask=same.to(tile.distances.device))

    def impostors(self) -> Iterator[PairTile]:
        """Distances of all pairs of two identities, tile by tile; of this rank's share of them."""
        for tile in self._tiles(touching=False):
            if not self._touch(tile.rows, tile.columns):
                yield tile
                continue
            # Codes ascend, so a smaller code is also an earlier row: each pair once.
            mask = self.identities[tile.rows, None] < self.identities[None, tile.columns]
            if mask.any():
                yield tile._replace(mask=mask.to(tile.distances.device))

    def ordinals(self, tile: PairTile) -> Tensor:
        """The number of the pair in each row's first column, counting impostor pairs row by row.

        It rises by one from column to column, whatever the block. Impostor pairs have the numbers
        0 … impostor_count − 1; those of other pairs mean nothing.

        Returns:
            int64 ``[rows]``.
        """
        first: Tensor = self._ordinal[tile.rows] + tile.columns.start
        return first.to(tile.distances.device)

    def _touch(self, rows: slice, columns: slice) -> bool:
        """Whether one identity stands both in the rows and in the columns, or the slices meet."""
        return bool(self.identities[rows.stop - 1] >= self.identities[columns.start])

    def _tiles(self, *, touching: bool) -> Iterator[PairTile]:
        """Tiles on and above the diagonal: all, or those with an identity on both sides."""
        starts = range(0, len(self), self._block)
        slices = [slice(start, min(start + self._block, len(self))) for start in starts]
        for number, rows in enumerate(slices):
            beyond = slices[number:]
            if touching:
                beyond = [columns for columns in beyond if self._touch(rows, columns)]
            else:
                beyond = beyond[self.together.turns(number)]
            parts = (torch.arange(columns.start, columns.stop) for columns in beyond)
            for tile in squared_tiles(self._rows[rows], self._rows, parts):
                first, last = tile.columns[[0, -1]].tolist()
                yield PairTile(
                    slice(rows.start + tile.rows.start, rows.start + tile.rows.stop),
                    slice(first, last + 1),
                    self._distance.from_squared(tile.squared.clamp_(min=0)),
                    None,
                )
