"""Ranks of the matches of some queries in their whole gallery, from tiles of distances."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.distances.tiles import Tile
from metricface.identities import MatchBlock
from metricface.types import ragged


class Genuine:
    """The distances of the matches of some queries, taken out of the tiles.

    Matches and impostors come from the same tiles, so a tie between them is not decided by two
    ways of rounding.
    """

    def __init__(self, matches: MatchBlock, width: int, like: Tensor) -> None:
        self.count = matches.positive_count()
        self._squared = like.new_full((matches.shape[0], width), torch.inf)
        self._positives = Entries(matches.anchor, matches.positive, matches.shape[0])
        self._hidden = Entries(matches.row, matches.column, matches.shape[0])
        self._place = ragged(self.count)[1]

    def take(self, tile: Tile) -> None:
        """Keep the tile's matches; overwrite with infinity all that are no impostors."""
        which, row, column = self._positives.within(tile)
        self._squared[row + tile.rows.start, self._place[which]] = tile.squared[row, column]
        self.hide(tile)

    def hide(self, tile: Tile) -> None:
        """Overwrite with infinity, in a tile, all that are no impostors."""
        _, row, column = self._hidden.within(tile)
        tile.squared.view(-1).index_fill_(0, row * tile.squared.shape[1] + column, torch.inf)

    def squared(self) -> Tensor:
        """The matches of each query, nearest first, then infinity, ``[b, R]``."""
        return self._squared.sort(dim=1).values


class Entries:
    """A list of entries (row, column), sorted by row, looked up tile by tile."""

    def __init__(self, row: Tensor, column: Tensor, rows: int) -> None:
        self._row, self._column = row, column
        count = torch.bincount(row, minlength=rows)
        self._first = [0, *count.cumsum(0).tolist()]

    def within(self, tile: Tile) -> tuple[Tensor, Tensor, Tensor]:
        """Which entries lie in a tile of consecutive columns, and where in it."""
        first, last = self._first[tile.rows.start], self._first[tile.rows.stop]
        start, width = int(tile.columns[0]), len(tile.columns)
        column = self._column[first:last] - start
        inside = ((column >= 0) & (column < width)).nonzero().flatten()
        row = self._row[first:last][inside] - tile.rows.start
        return inside + first, row, column[inside]


class Ahead:
    """How many impostors stand before each match, counted tile by tile.

    Args:
        found: distances of the matches of each query, smallest first, then infinity ``[b, R]``.

    Example:
        >>> ahead = Ahead(torch.tensor([[1.0, 3.0]]))
        >>> near = torch.tensor([[0.5, 1.0, 2.0, 9.0]])
        >>> ahead.see(Tile(near, slice(0, 1), torch.arange(4)))
        >>> ahead.count()  # of equal distances the impostor stands before
        tensor([[2, 3]])
    """

    def __init__(self, found: Tensor) -> None:
        self._found = found.contiguous()
        shape = len(found), found.shape[1] + 1
        self._between = torch.zeros(shape, dtype=torch.int64, device=found.device)

    def see(self, tile: Tile) -> None:
        """Count the impostors of a tile between the matches; what is no impostor is infinite."""
        place = torch.searchsorted(self._found[tile.rows], tile.squared)
        one = self._between.new_ones(()).expand(place.shape)
        self._between[tile.rows].scatter_add_(1, place, one)

    def count(self) -> Tensor:
        """Impostors that are not farther than each match, ``[b, R]``; of no meaning beyond them."""
        return self._between.cumsum(1)[:, :-1]
