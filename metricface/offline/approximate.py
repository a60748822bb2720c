"""The k nearest by FAISS's inverted lists or navigable graph: sooner, and not quite all."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from metricface.distances.rows import Rows
from metricface.offline.candidates import Candidates
from metricface.offline.faiss_indexes import FaissIndex, Graph, InvertedLists
from metricface.progress import with_progress

Approximate: TypeAlias = Literal["ivf", "hnsw"]

_ANSWERS = 1 << 21  # asked for at a time, by all anchors together
#: No anchor asks for more answers than this to find k that are allowed.
FETCH_LIMIT = 1 << 14


def approximate_search(
    rows: Rows,
    anchors: Tensor,
    k: int,
    allowed: Candidates,
    index: Approximate,
    *,
    effort: int | None,
    progress: bool,
) -> Tensor:
    """About the k nearest that are allowed, int64 ``[A, k]``, then -1.

    FAISS knows no identities, so it is asked for k more answers than the anchor's own identity
    has samples, and for twice as many with twice the effort while too few of them are allowed.

    Args:
        rows: all samples; put into the index as float32.
        anchors: row numbers int64 ``[A]``.
        k: how many.
        allowed: who may be found.
        index: ``"ivf"`` or ``"hnsw"``.
        effort: cells visited (ivf) or candidates kept (hnsw) for each anchor.
        progress: show a bar.

    Raises:
        ImportError: FAISS is missing.
    """
    built: FaissIndex = (InvertedLists if index == "ivf" else Graph)(
        rows, effort, progress=progress
    )
    count = torch.bincount(allowed.codes)[allowed.codes[anchors]]
    answer = torch.full((len(anchors), k), -1)
    limit = min(len(rows), FETCH_LIMIT)
    # Anchors of large identities ask for more answers, so they are searched for by themselves.
    order = count.argsort(stable=True)
    fetch = (k + count[order]).clamp(max=limit)
    for some in with_progress(_parts(order, fetch, built.at_once), index, shown=progress):
        pending, times = some, 1
        first_asked = int((k + count[some]).max())
        while len(pending):
            asked = min(first_asked * times, limit)
            squared, found = built.search(rows.plain(anchors[pending]), asked, times)
            good = allowed.allowed(found, anchors[pending], squared)
            first = (~good).int().argsort(dim=1, stable=True)[:, :k]
            best = found.gather(1, first).where(good.gather(1, first), -1)
            answer[pending, : best.shape[1]] = best
            done = (good.sum(dim=1) >= k) | allowed.beyond(anchors[pending], squared)
            if asked == limit:
                # No more can be asked for. More effort helps where the cells read held too few.
                done |= (found[:, -1] >= 0) | (times >= built.most_times)
            pending, times = pending[~done], 2 * times
    return answer


def _parts(order: Tensor, fetch: Tensor, most: int) -> list[Tensor]:
    """The anchors in parts of at most so many, each asking for about :data:`_ANSWERS` in all."""
    number = fetch.cumsum(0) // _ANSWERS
    sizes = torch.unique_consecutive(number, return_counts=True)[1].tolist()
    return [part for some in torch.split(order, sizes) for part in torch.split(some, most)]
