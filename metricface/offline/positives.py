"""The nearest and farthest of each anchor's own identity."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.rows import Rows
from metricface.distances.tiles import width_for
from metricface.distributed.together import ALONE, Together
from metricface.offline.neighbours import Neighbours
from metricface.offline.tile_search import measured, search
from metricface.progress import with_progress

_TOGETHER = 256  # anchors searched at a time, of identities that follow one another


def positives(
    rows: Rows,
    codes: Tensor,
    anchors: Tensor,
    k: int,
    distance: Distance,
    *,
    farthest: bool,
    progress: bool,
    together: Together = ALONE,
) -> Neighbours:
    """The k farthest (or nearest) samples of each anchor's identity, without itself.

    Samples are sorted by identity, so that the positives of a few anchors are one stretch; a large
    identity is searched in parts.

    Args:
        rows: all samples.
        codes: number of each sample's identity, int64 ``[N]``.
        anchors: row numbers int64 ``[A]``.
        k: how many.
        distance: what is measured.
        farthest: farthest first (the hardest positives); else nearest first.
        progress: show a bar.
        together: who shares the work.

    Example:
        >>> import numpy as np
        >>> from metricface.distances import Euclidean
        >>> plain = Euclidean(normalize=False)
        >>> rows = Rows(np.array([[0.0], [1.0], [5.0]]), plain)
        >>> codes, everyone = torch.tensor([0, 0, 0]), torch.arange(3)
        >>> positives(rows, codes, everyone, 1, plain, farthest=True, progress=False).indices
        array([[2],
               [2],
               [0]])
    """
    order = codes.argsort(stable=True)
    ascending = codes[order]
    device_codes = codes.to(rows.device)

    def hide(tile: Tensor, of: Tensor, columns: Tensor) -> None:
        other = device_codes[of, None] != device_codes[columns]
        tile.masked_fill_(other | (of[:, None] == columns), torch.inf)

    by_identity = codes[anchors].argsort(stable=True)
    sought = anchors[by_identity][together.stretch(len(anchors), _TOGETHER)]
    found = torch.full((len(sought), k), -1)
    parts = torch.split(torch.arange(len(sought)), _TOGETHER)
    for some in with_progress(parts, "positives", shown=progress):
        first, last = codes[sought[some[[0, -1]]]].tolist() if len(some) else (0, -1)
        start = int(torch.searchsorted(ascending, first))
        stop = int(torch.searchsorted(ascending, last, right=True))
        stretch = torch.split(order[start:stop], width_for(k))
        found[some] = search(rows, sought[some], iter(stretch), k, hide, farthest=farthest).cpu()
    every = measured(rows, sought, found, distance, farthest=farthest).of_all(together)
    place = by_identity.argsort().numpy()
    return Neighbours(every.distances[place], every.indices[place])
