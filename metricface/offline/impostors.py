"""For every sample, who of another identity looks most like it, over the whole set."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.rows import Rows
from metricface.distances.tiles import in_whole_tiles, width_for
from metricface.distributed.together import Together
from metricface.given import (
    above_zero,
    as_count,
    as_count_or_none,
    as_number,
    as_pair,
    zero_or_above,
)
from metricface.offline.approximate import approximate_search
from metricface.offline.candidates import Candidates
from metricface.offline.neighbours import Neighbours
from metricface.offline.positives import positives
from metricface.offline.tile_search import measured, search
from metricface.progress import with_progress
from metricface.types import Embeddings, Labels, numbered

Index: TypeAlias = Literal["exact", "ivf", "hnsw"]
"""How neighbours are sought: all pairs, FAISS's inverted lists, or its navigable graph."""

Guards: TypeAlias = "tuple[float | None, tuple[float, float] | None, float | None]"
"""What keeps false negatives out: near_duplicate, margin and relative_margin."""

_BYTES_AT_ONCE = 64 * 2**20  # of anchors searched together; all references are read for each part


def nearest_impostors(
    embeddings: Embeddings,
    labels: Labels,
    k: int,
    *,
    index: Index = "exact",
    anchors: Labels | None = None,
    distance: Distance | None = None,
    near_duplicate: float | None = None,
    margin: tuple[float, float] | None = None,
    relative_margin: float | None = None,
    effort: int | None = None,
    progress: bool = False,
    across_ranks: bool = False,
) -> Neighbours:
    """The k nearest samples of other identities for every sample.

    ``"exact"`` compares all pairs by matrix products on the embeddings' device. ``"ivf"`` and
    ``"hnsw"`` are FAISS's approximate indexes; :meth:`Neighbours.recall` against an exact search
    for a few ``anchors`` tells what they miss. The distances returned are exact with all three.

    The very nearest impostors are often no impostors but the same picture, or the same person,
    under two names. Three filters pass them over: ``near_duplicate``, one bound for all, and by
    each anchor's nearest positive p ``margin=(lo, hi)`` and ``relative_margin=c``::

        D(a, p) + lo  ≤  D(a, n)  <  D(a, p) + hi            c · D(a, p)  ≤  D(a, n)

    An anchor without positives has no bounds by them. A ``relative_margin`` has no unit: it means
    the same while distances shrink during a training, and in a crowded region as in an empty one.

    NV-Retriever states both for similarities, where more is nearer. Its TopK-PercPos keeps
    negatives of at most 95 % of the positive's score, so only what is farther than the positive, as
    c ≥ 1 does here; a smaller c also keeps what is nearer, but not by much. With cosine distances
    95 % of a score is ``0.05 + 0.95 · D(a, p)  ≤  D(a, n)``, which is no multiple of D(a, p).

    Embeddings are read a part at a time and may be memory-mapped. At 128 dimensions exact search
    adds 91 MiB to 100,000 of them and 54 MiB to 1,000,000 (10,000 anchors); ivf 222 and 886 MiB,
    hnsw 194 and 940 MiB (all anchors), with the float32 copy that both keep.

    Args:
        embeddings: floating ``[N, D]``.
        labels: one identity per row; integers or strings.
        k: how many for each anchor, at least 1.
        index: how they are sought.
        anchors: row numbers for which to search ``[A]``; all rows if None.
        distance: what is measured; squared Euclidean of normalised embeddings if None.
        near_duplicate: impostors nearer than this are taken for the same picture.
        margin: range beyond the nearest positive, ``lo < hi``. Differences as fine as float32
            rounding (1e-6 of the squared norm) need float64 embeddings.
        relative_margin: impostors nearer than this share of the distance of the nearest positive
            are taken for the same person; above 0. Of squared distances the square is meant:
            0.81 is 0.9 of the plain ones.
        effort: cells visited (ivf, default a twentieth of 4√N, at least 20) or candidates kept
            (hnsw, default 64) for each anchor: more is slower and misses less. Where too few are
            found it is doubled.
        progress: show a bar; needs tqdm.
        across_ranks: all ranks of the process group call this with the same arguments, each
            searches for its share of the anchors, and all get the answer for all of them. An
            approximate index is built on every rank.

    Returns:
        Distances and row numbers ``[A, k]``, nearest first; infinity and -1 where there are
        fewer. An approximate search gives up on an anchor after 16,384 candidates.

    Raises:
        ValueError: k, margins, effort or anchors out of range, NaN as a bound, bad embeddings or
            label count. Across ranks whatever is wrong on one of them, on all.
        TypeError: embeddings that are not floating, k, effort or anchors that are not integers,
            bounds that are no numbers.
        ImportError: FAISS or tqdm is wanted and missing.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.3], [0.0, 1.0]])
        >>> names = ["anna", "anna", "ben", "carl"]
        >>> nearest_impostors(x, names, 1).indices.ravel()
        array([2, 2, 1, 2])
        >>> nearest_impostors(x, names, 1, relative_margin=6).indices.ravel()
        array([2, 3, 1, 2])

    Reference:
        Moreira et al., "NV-Retriever: Improving text embedding models with effective hard-negative
        mining", 2024, positive-aware mining methods (TopK-MarginPos, TopK-PercPos).
    """
    with Together(across_ranks) as together:
        distance = SquaredEuclidean() if distance is None else distance
        k = as_count("k", k)
        effort = as_count_or_none("effort", effort)
        if near_duplicate is not None:
            near_duplicate = zero_or_above("near_duplicate", near_duplicate)
        margin = None if margin is None else _range(margin)
        if relative_margin is not None:
            relative_margin = above_zero("relative_margin", relative_margin)
        if index not in get_args(Index):
            raise ValueError(f"index must be 'exact', 'ivf' or 'hnsw', got {index!r}")
        rows = Rows(embeddings, distance)
        codes = torch.from_numpy(numbered(labels, count=len(rows)).numbers)
        chosen = _row_numbers(anchors, len(rows))
        settings = (k, index, near_duplicate, margin, relative_margin, effort)
        held = {"labels": codes, "anchors": chosen, "settings": settings}
        together.agree({**rows.facts(), **held})
        shown = progress and together.rank == 0
        guards = near_duplicate, margin, relative_margin
        allowed = _candidates(rows, codes, chosen, guards, together, progress=shown)
        most = max(1, _BYTES_AT_ONCE // (8 * max(rows.dim, k)))
        at_once, step = in_whole_tiles(most, rows.device)
        part = chosen[together.stretch(len(chosen), step)]
        if index == "exact":
            found = _exact(rows, part, k, allowed.on(rows.device), at_once, progress=shown)
        else:
            found = approximate_search(rows, part, k, allowed, index, effort=effort, progress=shown)
        return allowed.bounded(measured(rows, part, found, distance), part).of_all(together)


def _exact(
    rows: Rows, anchors: Tensor, k: int, allowed: Candidates, at_once: int, *, progress: bool
) -> Tensor:
    """Every anchor against every row, by parts of both."""
    if len(anchors) == 0:
        return torch.empty(0, k, dtype=torch.int64)
    parts = torch.split(anchors, at_once)
    everyone = torch.split(torch.arange(len(rows)), width_for(k))
    found = [
        search(
            rows,
            part,
            with_progress(everyone, f"part {number} of {len(parts)}", shown=progress),
            k,
            allowed.hide,
        ).cpu()
        for number, part in enumerate(parts, 1)
    ]
    return torch.cat(found)


def _candidates(
    rows: Rows,
    codes: Tensor,
    anchors: Tensor,
    guards: Guards,
    together: Together,
    *,
    progress: bool,
) -> Candidates:
    """Who may be mined: not what is nearer than any guard allows, nor as far as the upper one."""
    near_duplicate, margin, relative_margin = guards
    lowers, upper = [], None
    if near_duplicate is not None:
        lowers.append(torch.full((len(rows),), near_duplicate, dtype=torch.float64))
    if margin is not None or relative_margin is not None:
        own = positives(
            *(rows, codes, anchors, 1, rows.distance),
            farthest=False,
            progress=progress,
            together=together,
        )
        nearest = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        nearest[anchors] = torch.from_numpy(own.distances[:, 0]).double()
        known = nearest.isfinite()  # the others have no positive
        if margin is not None:
            lowers.append((nearest + margin[0]).where(known, -torch.inf))
            upper = nearest + margin[1]
        if relative_margin is not None:
            lowers.append((nearest * relative_margin).where(known, -torch.inf))
    lower = torch.stack(lowers).amax(0) if lowers else None
    return Candidates(codes, rows.distance, lower, upper)


def _row_numbers(anchors: Labels | None, count: int) -> Tensor:
    if anchors is None:
        return torch.arange(count)
    chosen = np.asarray(anchors.cpu() if isinstance(anchors, Tensor) else anchors)
    if chosen.size == 0:
        return torch.empty(0, dtype=torch.int64)
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
        raise TypeError(
            f"anchors must be a vector of row numbers, got {chosen.dtype} {chosen.shape}"
        )
    if chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(
            f"anchors must be rows of the {count} embeddings, got {chosen.min()} … {chosen.max()}"
        )
    return torch.from_numpy(chosen.astype(np.int64))


def _range(margin: tuple[float, float]) -> tuple[float, float]:
    low, high = (as_number("each of margin", bound) for bound in as_pair("margin", margin))
    if not low < high:
        raise ValueError(f"margin must be a range (lo, hi) with lo < hi, got {margin}")
    return low, high
