"""Retrieval: how much of the query's identity stands at the top of its ranked gallery."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.rows import Rows
from metricface.distances.tiles import Nearest, in_whole_tiles, squared_tiles, width_for
from metricface.distributed.together import Together
from metricface.evaluation.given import DISTANCE, checked_ranks
from metricface.evaluation.match_ranks import Ahead, Genuine
from metricface.identities import MatchBlock, Matches
from metricface.types import Embeddings, Labels, label_array

_BYTES_AT_ONCE = 16 * 2**20  # of queries searched together; the gallery is read for each part


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
    mean_average_precision: float | None = None
    """mAP over the whole ranking; with ``whole_ranking`` only."""
    mrr: float | None = None
    """Mean reciprocal rank of the nearest match; with ``whole_ranking`` only."""


def retrieval(
    embeddings: Embeddings,
    labels: Labels,
    *,
    ks: Sequence[int] = (1, 5),
    gallery: Embeddings | None = None,
    gallery_labels: Labels | None = None,
    ids: Labels | None = None,
    gallery_ids: Labels | None = None,
    cameras: Labels | None = None,
    gallery_cameras: Labels | None = None,
    whole_ranking: bool = False,
    distance: Distance = DISTANCE,
    across_ranks: bool = False,
) -> Retrieval:
    """Recall@k, R-precision and MAP@R of queries against a gallery; mAP and MRR if wanted.

    With R matches of a query in the gallery, found at ranks r₁ < … < r_R::

        Recall@k    = [r₁ ≤ k]
        R-precision = |{i : rᵢ ≤ R}| / R
        MAP@R       = (1/R) Σ_{i : rᵢ ≤ R} i / rᵢ
        mAP         = (1/R) Σ_i i / rᵢ
        MRR         = 1 / r₁

    Without a gallery the queries are searched among themselves, each without itself. **Ties are
    decided against the query**: of equal distances an impostor ranks before a match. The figures
    then depend on no order of the rows, and a collapsed model, to which all are equal, scores 0.

    Embeddings are read a part at a time and may be memory-mapped; beside them, memory is tiles
    of a fixed size and some numbers per row. Pairs are compared in float32, or in float64 where
    the embeddings are.

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
        cameras: a second label of each query, integers or strings: the camera, the session, the
            scanner. Gallery rows of the same identity *and* the same camera are not ranked for
            it, as re-identification asks. Not beside ids: an image is of one camera.
        gallery_cameras: of each gallery row; with ``gallery``, both or neither.
        whole_ranking: also mAP and MRR, which ask for the rank of every match, however far down;
            all distances are then made twice.
        distance: what is ranked; smaller is closer.
        across_ranks: all ranks of the process group call this with the same arguments, each
            searches for its share of the queries, and all get the same answer.

    Returns:
        The figures, over the queries that have a match.

    Raises:
        ValueError: shapes or counts that do not fit, NaN embeddings, arguments that are given
            without their counterpart, a gallery that is the queries, no query with a match.
            Across ranks whatever is wrong on one of them, on all.
        TypeError: embeddings that are not floating, labels of two kinds.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.6]])
        >>> retrieval(x, ["anna", "anna", "ben", "ben"], ks=(1,)).recall
        {1: 0.75}

    Reference:
        Musgrave, Belongie, Lim: A Metric Learning Reality Check (2020), section 3.2.
    """
    with Together(across_ranks) as together:
        ks = checked_ranks(ks, "ks")
        if gallery is None and (gallery_labels is not None or gallery_ids is not None):
            raise ValueError("gallery_labels and gallery_ids need a gallery")
        if gallery is not None and gallery_labels is None and np.ndim(labels) != 2:
            raise ValueError("gallery needs gallery_labels (or a boolean match matrix as labels)")
        if cameras is not None or gallery_cameras is not None:
            if ids is not None or gallery_ids is not None:
                raise ValueError("give either cameras or ids: an image is of one camera")
            ids, gallery_ids = _of_one_camera(labels, cameras, gallery_labels, gallery_cameras)
        if gallery is None:
            queries = references = Rows(embeddings, distance)
        else:
            references = Rows(gallery, distance, name="gallery")
            queries = Rows(embeddings, distance, beside=references)
            if gallery is embeddings and ids is None:
                raise ValueError(
                    "the gallery is the queries themselves, so that each would find itself: leave "
                    "it out, or say by ids and gallery_ids which sample is which"
                )
        matches = Matches.of(
            queries,
            labels,
            None if gallery is None else references,
            gallery_labels,
            ids=ids,
            ref_ids=gallery_ids,
        )
        given = {"gallery_labels": gallery_labels, "ids": ids, "gallery_ids": gallery_ids, "ks": ks}
        together.agree(
            {
                "labels": labels,
                "whole_ranking": whole_ranking,
                **given,
                **references.facts(),
                **queries.facts(),
            }
        )
        scores = _share(queries, references, matches, ks, together, whole=whole_ranking)
        return _mean(together.cat(scores), ks, len(queries))


def _of_one_camera(
    labels: Labels,
    cameras: Labels | None,
    gallery_labels: Labels | None,
    gallery_cameras: Labels | None,
) -> tuple[Tensor, Tensor | None]:
    """Ids of queries and gallery that are equal where identity and camera are."""
    sides = [(labels, cameras, "cameras")]
    if gallery_labels is not None:
        sides.append((gallery_labels, gallery_cameras, "gallery_cameras"))
    elif gallery_cameras is not None:
        raise ValueError("gallery_cameras need gallery_labels")
    whose, where = [], []
    for identity, camera, name in sides:
        if camera is None:
            raise ValueError(f"cameras and gallery_cameras come together; {name} is None")
        whose.append(label_array(identity))
        where.append(label_array(camera, name))
        if len(whose[-1]) != len(where[-1]):
            raise ValueError(f"{len(whose[-1])} labels came with {len(where[-1])} {name}")
    codes = [np.unique(np.concatenate(each), return_inverse=True)[1] for each in (whose, where)]
    ids = torch.from_numpy(
        codes[0].reshape(-1) * (codes[1].max(initial=0) + 1) + codes[1].reshape(-1)
    )
    return ids[: len(whose[0])], ids[len(whose[0]) :] if len(sides) > 1 else None


def _share(
    queries: Rows,
    references: Rows,
    matches: Matches,
    ks: Sequence[int],
    together: Together,
    *,
    whole: bool,
) -> Tensor:
    """The scores of this rank's queries that have a match, ``[n, 4 + len(ks)]``."""
    most = max(1, _BYTES_AT_ONCE // (8 * max(queries.dim, matches.max_positives(), *ks)))
    at_once, step = in_whole_tiles(most, queries.device)
    own = together.stretch(len(queries), step)
    scores = [torch.empty(0, 4 + len(ks), dtype=torch.float64)]
    for start in range(own.start - own.start % at_once, own.stop, at_once):
        # What is sought depends on the whole of a block, of which the rank may have a part.
        block = matches.block(start, start + at_once)
        width = max(int(block.positive_count().max()), 1)
        first, last = max(start, own.start), min(start + at_once, own.stop)
        some = block if last - first == block.shape[0] else matches.block(first, last)
        scores.append(_scores(queries, references, some, ks, width, whole=whole))
    return torch.cat(scores)


def _scores(
    queries: Rows,
    references: Rows,
    matches: MatchBlock,
    ks: Sequence[int],
    width: int,
    *,
    whole: bool,
) -> Tensor:
    """R-precision, MAP@R, mAP, 1/r₁ and Recall@k of a block's queries that have a match.

    At most ``width`` matches. mAP and 1/r₁ are NaN where the whole ranking is not wanted.

    Ranks come from counting: the i-th nearest match stands behind i − 1 matches and every
    impostor that is not farther.
    """
    start, (rows, among) = matches.start, matches.shape
    query = queries[start : start + rows]
    genuine = Genuine(matches, width, like=query)
    count = genuine.count
    # No rank beyond R or the largest k is asked for, so no more impostors are needed.
    impostors = Nearest(rows, min(max(width, *ks), among), like=query)
    everyone = torch.split(torch.arange(among), width_for(max(width, *ks)))
    for tile in squared_tiles(query, references, everyone):
        genuine.take(tile)
        impostors.see(tile)
    found, wrong = genuine.squared().clamp_(min=0), impostors.values().clamp_(min=0)
    number = torch.arange(1, width + 1, device=query.device)
    rank = number + torch.searchsorted(wrong, found, right=True)
    relevant = count[:, None]
    hit = (rank <= relevant).double()  # not in the padding: there the number is above R
    sums = torch.stack([hit.sum(dim=1), (hit * number / rank).sum(dim=1)], dim=1) / relevant
    recall = torch.stack([rank[:, 0] <= k for k in ks], dim=1).double()
    full = torch.full_like(sums, torch.nan)
    if whole:
        ahead = Ahead(found)
        for tile in squared_tiles(query, references, everyone):
            genuine.hide(tile)
            tile.squared.clamp_(min=0)
            ahead.see(tile)
        gained = number / (number + ahead.count()).double()
        average = torch.where(number <= relevant, gained, 0.0).sum(dim=1) / count
        full = torch.stack([average, gained[:, 0]], dim=1)
    return torch.cat([sums, full, recall], dim=1)[count > 0].cpu()


def _mean(scores: Tensor, ks: Sequence[int], total: int) -> Retrieval:
    """The mean over the scored queries."""
    if len(scores) == 0:
        raise ValueError(f"none of the {total} queries has a match in the gallery")
    # fsum does not round on the way, so that the order of the queries changes nothing.
    means = [math.fsum(column) / len(scores) for column in scores.T.tolist()]
    r_precision, map_at_r, average, reciprocal, *recall = means
    return Retrieval(
        recall=dict(zip(ks, recall, strict=True)),
        r_precision=r_precision,
        map_at_r=map_at_r,
        queries=len(scores),
        unmatched=total - len(scores),
        mean_average_precision=None if math.isnan(average) else average,
        mrr=None if math.isnan(reciprocal) else reciprocal,
    )
