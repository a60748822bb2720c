"""The k nearest by FAISS's inverted lists or navigable graph: sooner, and not quite all."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from metricface.offline.candidates import Candidates
from metricface.offline.progress import with_progress
from metricface.offline.rows import PreparedRows

Approximate: TypeAlias = Literal["ivf", "hnsw"]

_ADDED = 1 << 16  # rows given to the index together
_ANSWERS = 1 << 21  # answers asked for together
_PER_CELL = 40  # samples that train a cell's centre; FAISS warns below 39
_GRAPH_LINKS = 32
#: No anchor asks for more answers than this to find k that are allowed.
FETCH_LIMIT = 1 << 14


def approximate_search(
    rows: PreparedRows,
    anchors: Tensor,
    k: int,
    allowed: Candidates,
    index: Approximate,
    *,
    effort: int | None,
    progress: bool,
) -> Tensor:
    """About the k nearest that are allowed, int64 ``[A, k]``, then -1.

    FAISS knows no identities, so k and as many as the anchor's identity has are asked for, and
    twice as many as long as too few of them are allowed.

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
    built = _Index(rows, index, effort, progress=progress)
    count = torch.bincount(allowed.codes)[allowed.codes[anchors]]
    answer = torch.full((len(anchors), k), -1)
    limit = min(len(rows), FETCH_LIMIT)
    # Anchors of large identities ask for more: beside their like they do not make others wait.
    order = count.argsort(stable=True)
    fetch = (k + count[order]).clamp(max=limit)
    for some in with_progress(_parts(order, fetch), index, shown=progress):
        pending = some
        asked = int((k + count[some]).max().clamp(max=limit))
        while len(pending):
            squared, found = built.search(rows[anchors[pending]], asked)
            good = allowed.allowed(found, anchors[pending], squared)
            first = (~good).int().argsort(dim=1, stable=True)[:, :k]
            best = found.gather(1, first).where(good.gather(1, first), -1)
            answer[pending, : best.shape[1]] = best
            enough = (good.sum(dim=1) >= k) | allowed.beyond(anchors[pending], squared)
            if asked == limit:
                break
            pending, asked = pending[~enough], min(2 * asked, limit)
    return answer


def _parts(order: Tensor, fetch: Tensor) -> list[Tensor]:
    """The order cut so that no part asks for many more than :data:`_ANSWERS` answers."""
    number = fetch.cumsum(0) // _ANSWERS
    sizes = torch.unique_consecutive(number, return_counts=True)[1].tolist()
    return [part for part in torch.split(order, sizes) if len(part)]


class _Index:
    """A FAISS index over all rows; distances are squared Euclidean of the prepared rows."""

    def __init__(
        self, rows: PreparedRows, kind: Approximate, effort: int | None, *, progress: bool
    ) -> None:
        try:
            import faiss
        except ImportError as error:
            raise ImportError(
                f"index={kind!r} needs FAISS: pip install 'metricface[offline]'"
            ) from error
        self._kind = kind
        self._index: Any
        if kind == "ivf":
            cells = max(1, min(round(4 * len(rows) ** 0.5), len(rows) // _PER_CELL))
            self._effort = max(1, cells // 16) if effort is None else min(effort, cells)
            self._index = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.dim), rows.dim, cells)
            sample = np.linspace(0, len(rows) - 1, min(len(rows), cells * _PER_CELL))
            self._index.train(_float32(rows[torch.from_numpy(sample.astype(np.int64))]))
        else:
            self._effort = 128 if effort is None else effort
            self._index = faiss.IndexHNSWFlat(rows.dim, _GRAPH_LINKS)
            self._index.hnsw.efConstruction = 80
        for start in with_progress(range(0, len(rows), _ADDED), f"building {kind}", shown=progress):
            self._index.add(_float32(rows[start : start + _ADDED]))

    def search(self, query: Tensor, fetch: int) -> tuple[Tensor, Tensor]:
        """Squared distances, ascending, and row numbers (-1: none), each ``[b, fetch]``."""
        # Not as an argument: pytorch-metric-learning makes FAISS load its torch layer, whose
        # search takes none.
        if self._kind == "ivf":
            self._index.nprobe = self._effort
        else:
            self._index.hnsw.efSearch = max(self._effort, fetch)
        squared, found = self._index.search(_float32(query), fetch)
        return torch.from_numpy(squared), torch.from_numpy(found)


def _float32(rows: Tensor) -> Any:
    return rows.float().contiguous().cpu().numpy()
