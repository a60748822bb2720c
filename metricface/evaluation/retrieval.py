"""Retrieval: how much of the query's identity stands at the top of its ranked gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.evaluation.embeddings import DISTANCE, Embeddings, embedding_matrix
from metricface.identities import MatchBlock, Matches
from metricface.types import Labels, ragged


@dataclass(frozen=True)
class Retrieval:
    """What :func:`retrieval` measured; every figure is a mean over the scored queries."""

    recall: dict[int, float]
    """Recall@k: share of queries with one of their identity among the k nearest, by k."""
    r_precision: float
    """Share of the R nearest that are of the query's identity, R being all there are of it."""
    map_at_r: float
    """Mean average precision over the R nearest."""
    queries: int
    """Queries scored."""
    unmatched: int
    """Queries left out: the gallery holds nobody of their identity."""


def retrieval(
    embeddings: Embeddings,
    labels: Labels,
    *,
    ks: Sequence[int] = (1, 5),
    gallery: Embeddings | None = None,
    gallery_labels: Labels | None = None,
    ids: Labels | None = None,
    gallery_ids: Labels | None = None,
    distance: Distance = DISTANCE,
    block: int = 256,
) -> Retrieval:
    """Recall@k, R-precision and MAP@R of queries against a gallery.

    With R matches of a query in the gallery, found at ranks r₁ < … < r_R::

        Recall@k    = [r₁ ≤ k]
        R-precision = |{i : rᵢ ≤ R}| / R
        MAP@R       = (1/R) Σ_{i : rᵢ ≤ R} i / rᵢ

    Without a gallery the queries are searched among themselves, each without itself. **Ties are
    decided against the query**: of equal distances an impostor ranks before a match. The figures
    then depend on no order of the rows, and a collapsed model, to which all are equal, scores 0.

    Memory is O(block × gallery).

    Args:
        embeddings: the queries, floating ``[B, D]``.
        labels: identity of each query, integers or strings; or a boolean ``[B, R]``, True where
            the gallery row is wanted.
        ks: the k of Recall@k, each at least 1.
        gallery: floating ``[R, D]``; None: the queries themselves.
        gallery_labels: identity of each gallery row; with ``gallery`` only.
        ids: which sample each query is; gallery rows of the same id are not ranked for it.
            None: without a gallery each row is its own sample, with one nothing is left out.
        gallery_ids: which sample each gallery row is; with ``gallery``, both ids or neither.
        distance: what is ranked; smaller is closer.
        block: queries per block; bounds memory.

    Returns:
        The figures, over the queries that have a match.

    Raises:
        ValueError: shapes or counts that do not fit, NaN embeddings, arguments that are given
            without their counterpart, no query with a match.
        TypeError: embeddings that are not floating, labels of two kinds.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.6]])
        >>> retrieval(x, ["anna", "anna", "ben", "ben"], ks=(1,)).recall
        {1: 0.75}

    Reference:
        Musgrave, Belongie, Lim: A Metric Learning Reality Check (2020), section 3.2.
    """
    if not ks or any(k < 1 for k in ks):
        raise ValueError(f"ks must be one or more ranks of at least 1, got {tuple(ks)}")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    if gallery is None and (gallery_labels is not None or gallery_ids is not None):
        raise ValueError("gallery_labels and gallery_ids need a gallery")
    if gallery is not None and gallery_labels is None and np.ndim(labels) != 2:
        raise ValueError("gallery needs gallery_labels (or a boolean match matrix as labels)")
    x = embedding_matrix(embeddings)
    y = None if gallery is None else embedding_matrix(gallery, "gallery")
    if y is not None and x.shape[1] != y.shape[1]:
        raise ValueError(f"embeddings have {x.shape[1]} columns but gallery has {y.shape[1]}")
    matches = Matches.of(x, labels, y, gallery_labels, ids=ids, ref_ids=gallery_ids)
    queries, references = distance.prepare(x, y)
    scores = [torch.empty(0, 2 + len(ks), dtype=torch.float64)]
    for start in range(0, len(x), block):
        tile = distance.block(queries[start : start + block], references)
        scores.append(_scores(tile, matches.block(start, start + block), ks))
    return _mean(torch.cat(scores), ks, len(x))


def _scores(tile: Tensor, matches: MatchBlock, ks: Sequence[int]) -> Tensor:
    """R-precision, MAP@R and Recall@k of the queries of a block that have a match.

    Ranks come from counting: the i-th nearest match stands behind i − 1 matches and every
    impostor that is not farther. The tile is overwritten.
    """
    count = matches.positive_count()
    row, place = ragged(count)
    width = max(int(count.max()), 1)
    genuine = tile.new_full((len(tile), width), torch.inf)
    genuine[row, place] = tile[matches.anchor, matches.positive]
    genuine = genuine.sort(dim=1).values
    # No rank beyond R or the largest k is asked for, so no more impostors are needed.
    nearest = min(max(width, *ks), tile.shape[1])
    impostor = matches.hide_(tile).topk(nearest, dim=1, largest=False).values
    number = torch.arange(1, width + 1, device=tile.device)
    rank = number + torch.searchsorted(impostor, genuine, right=True)
    relevant = count[:, None]
    hit = (rank <= relevant).double()  # never in the padding: a rank is at least its number
    sums = [hit.sum(dim=1, keepdim=True), (hit * number / rank).sum(dim=1, keepdim=True)]
    recall = torch.stack([rank[:, 0] <= k for k in ks], dim=1).double()
    scored = torch.cat([torch.cat(sums, dim=1) / relevant, recall], dim=1)
    return scored[count > 0].cpu()


def _mean(scores: Tensor, ks: Sequence[int], total: int) -> Retrieval:
    """The mean over the scored queries, which do not depend on the block size."""
    if len(scores) == 0:
        raise ValueError(f"none of the {total} queries has a match in the gallery")
    r_precision, map_at_r, *recall = scores.mean(dim=0).tolist()
    return Retrieval(
        recall=dict(zip(ks, recall, strict=True)),
        r_precision=r_precision,
        map_at_r=map_at_r,
        queries=len(scores),
        unmatched=total - len(scores),
    )
