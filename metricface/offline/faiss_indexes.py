"""FAISS's inverted lists and navigable graph, each over all rows of a set."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor

from metricface.distances.rows import Rows
from metricface.progress import with_progress

_ADDED = 1 << 16  # rows given to an index together
_PER_CELL = 40  # samples that train a cell's centre; FAISS warns below 39
_CODED_DIM = 16  # with fewer coordinates, 4 bits each tell too little
_CODE_SAMPLES = 1024  # least that train the codes: FAISS warns below 39 for each of 16 values
_CODE_ROUNDS = 5  # of k-means for each coordinate's 16 values; FAISS's 25 find no better ones
_REFINED = 2  # times as many as are asked for are found by their codes, then compared in full
_GRAPH_LINKS = 16


class FaissIndex(Protocol):
    """An index over all rows, which tells those nearest to some vectors."""

    at_once: int
    """How many vectors to search for together, so that FAISS needs little memory for them."""
    most_times: int
    """How many times the usual effort is the most that is worth asking for."""

    def search(self, query: Tensor, fetch: int, times: int) -> tuple[Tensor, Tensor]:
        """The nearest found.

        Args:
            query: prepared vectors ``[b, D]``.
            fetch: how many for each.
            times: how many times the usual effort; above 1 where too few were found with less.

        Returns:
            Squared Euclidean distances of the prepared rows, ascending, and row numbers, then
            -1, each ``[b, fetch]``.
        """
        ...


class InvertedLists:
    """Rows in cells, each in that of its nearest centre; a query reads the cells nearest to it.

    The lists keep 4 bits of each coordinate, of which FAISS compares 32 samples at once, several
    times as fast as float32. Twice as many as are asked for are found in this way, and compared
    again in float32.

    Args:
        rows: all samples.
        effort: cells visited for each query; a twentieth of them, at least 20, if None.
        progress: show a bar.

    Raises:
        ImportError: FAISS is missing.
    """

    def __init__(self, rows: Rows, effort: int | None, *, progress: bool) -> None:
        faiss = _faiss("ivf")
        cells = max(1, min(round(4 * len(rows) ** 0.5), len(rows) // _PER_CELL))
        coded = rows.dim >= _CODED_DIM
        kept = f"PQ{rows.dim}x4fs,Refine(Flat)" if coded else "Flat"
        self._index = faiss.index_factory(rows.dim, f"IVF{cells},{kept}")
        self._lists = faiss.downcast_index(faiss.extract_index_ivf(self._index))
        if coded:
            self._index.k_factor = _REFINED
            self._lists.pq.cp.niter = _CODE_ROUNDS
        self._effort = max(20, cells // 20) if effort is None else effort
        self.most_times = -(-cells // self._effort)
        # A query takes 16 values per coordinate, as float32 and as bytes: 128 MiB together.
        self.at_once = max(1, 2**27 // (rows.dim * 16 * 5))
        count = max(_CODE_SAMPLES, min(len(rows), cells * _PER_CELL))
        sample = torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).long()
        self._index.train(_float32(rows.plain(sample)))
        _fill(self._index, rows, "ivf", progress=progress)

    def search(self, query: Tensor, fetch: int, times: int) -> tuple[Tensor, Tensor]:
        """See :meth:`FaissIndex.search`."""
        # Not passed to search: pytorch-metric-learning makes FAISS load a torch layer, whose
        # search takes no such argument.
        self._lists.nprobe = min(self._effort * times, self._lists.nlist)
        return _searched(self._index, query, fetch)


class Graph:
    """Rows linked to their likes (HNSW); a query walks along the links to its nearest.

    Args:
        rows: all samples.
        effort: candidates kept for each query, 64 if None.
        progress: show a bar.

    Raises:
        ImportError: FAISS is missing.
    """

    at_once = 1 << 20
    most_times = 1  # it keeps as many candidates as are asked for, whatever the effort

    def __init__(self, rows: Rows, effort: int | None, *, progress: bool) -> None:
        self._index = _faiss("hnsw").IndexHNSWFlat(rows.dim, _GRAPH_LINKS)
        self._effort = 64 if effort is None else effort
        _fill(self._index, rows, "hnsw", progress=progress)

    def search(self, query: Tensor, fetch: int, times: int) -> tuple[Tensor, Tensor]:
        """See :meth:`FaissIndex.search`."""
        self._index.hnsw.efSearch = max(self._effort * times, fetch)
        return _searched(self._index, query, fetch)


def _faiss(kind: str) -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f"index={kind!r} needs FAISS: pip install 'metricface[offline]'"
        ) from error
    module: ModuleType = faiss
    return module


def _fill(index: Any, rows: Rows, kind: str, *, progress: bool) -> None:
    for start in with_progress(range(0, len(rows), _ADDED), f"building {kind}", shown=progress):
        index.add(_float32(rows.plain(slice(start, start + _ADDED))))


def _searched(index: Any, query: Tensor, fetch: int) -> tuple[Tensor, Tensor]:
    squared, found = index.search(_float32(query), fetch)
    return torch.from_numpy(squared), torch.from_numpy(found)


def _float32(rows: Tensor) -> Any:
    return rows.float().contiguous().cpu().numpy()
