"""Clustering: how well people are found whom nobody has named."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix

from metricface.distances import Distance
from metricface.distances.given import check_distance
from metricface.distances.rows import Rows
from metricface.distances.tiles import WIDTH, squared_tiles
from metricface.evaluation.given import DISTANCE, embedding_matrix
from metricface.given import as_count, zero_or_above
from metricface.types import Embeddings, Labels, numbered

Method: TypeAlias = Literal["dbscan", "agglomerative", "kmeans"]
"""Which of scikit-learn's algorithms groups the embeddings."""


@dataclass(frozen=True)
class Agreement:
    """How far a grouping repeats the identities."""

    precision: float
    """Share of what was put together that belongs together."""
    recall: float
    """Share of what belongs together that was put together."""
    f: float
    """Their harmonic mean: 2·precision·recall / (precision + recall)."""


@dataclass(frozen=True)
class Clustering:
    """What :func:`clustering` or :func:`cluster_scores` measured."""

    clusters: int
    """Number of clusters; with DBSCAN, noise is a cluster of its own for each sample."""
    nmi: float
    """Normalised mutual information (arithmetic mean of the entropies), 0 to 1."""
    b_cubed: Agreement
    """Agreement of each sample's own cluster, averaged over the samples."""
    pairwise: Agreement
    """Agreement over all pairs of samples; 1 where there is no pair to be wrong about."""
    assignment: npt.NDArray[np.int64] = field(repr=False, compare=False)
    """Number of the cluster of each sample, ``[N]``."""


def clustering(
    embeddings: Embeddings,
    labels: Labels,
    *,
    method: Method = "dbscan",
    threshold: float | None = None,
    clusters: int | None = None,
    min_samples: int = 2,
    distance: Distance = DISTANCE,
    seed: int = 0,
) -> Clustering:
    """Group embeddings without their labels, and compare the groups with the labels.

    FaceNet's claim is that one threshold serves verification, recognition and clustering: pass
    the ``threshold`` that :func:`verification` found, on other identities.

    DBSCAN stores the pairs within the threshold; agglomerative clustering (average linkage) needs
    all N² distances at once and is for some thousands of samples.

    Args:
        embeddings: floating ``[N, D]``.
        labels: one identity per row, used for the scores only.
        method: ``"dbscan"`` and ``"agglomerative"`` join what is within a threshold,
            ``"kmeans"`` makes a number of clusters.
        threshold: distance up to which samples are neighbours; not for k-means.
        clusters: how many, for k-means; None: as many as there are identities.
        min_samples: of DBSCAN: neighbours, itself included, that make a sample a core.
        distance: what the threshold is measured in.
        seed: of k-means.

    Returns:
        Scores and the assignment.

    Raises:
        ValueError: a threshold missing, misplaced or negative; bad embeddings or label count.
        TypeError: embeddings that are not floating.
        ImportError: scikit-learn is missing.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> clustering(x, ["anna", "anna", "ben"], threshold=0.5).b_cubed.f
        1.0

    Reference:
        Schroff et al., "FaceNet", CVPR 2015, section 5.8.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be 'dbscan', 'agglomerative' or 'kmeans', got {method!r}")
    if (threshold is None) != (method == "kmeans"):
        raise ValueError(f"method={method!r} came with threshold={threshold}")
    threshold = None if threshold is None else zero_or_above("threshold", threshold)
    clusters = None if clusters is None else as_count("clusters", clusters)
    min_samples = as_count("min_samples", min_samples)
    seed = as_count("seed", seed, 0)
    if clusters is not None and method != "kmeans":
        raise ValueError(f"clusters is for method='kmeans', got method={method!r}")
    distance = check_distance(distance)
    cluster: Any = _sklearn("cluster")
    x = embedding_matrix(embeddings)
    known = numbered(labels, count=len(x))
    if len(x) == 0:
        raise ValueError("there is no sample to group")
    if clusters is not None and clusters > len(x):
        raise ValueError(f"clusters={clusters} are more than the {len(x)} samples")
    if method == "dbscan":
        near = _within(x, distance, float(threshold or 0.0))
        near = _sklearn("neighbors").sort_graph_by_row_values(near, warn_when_not_sorted=False)
        model = cluster.DBSCAN(
            eps=threshold or 1e-300, min_samples=min_samples, metric="precomputed"
        )
        found = _noise_apart(model.fit_predict(near))
    elif method == "agglomerative":
        # scikit-learn joins what is nearer than its threshold, here what is as near is joined too
        above = np.nextafter(float(threshold or 0.0), np.inf)
        model = cluster.AgglomerativeClustering(
            n_clusters=None, distance_threshold=above, metric="precomputed", linkage="average"
        )
        found = model.fit_predict(distance.pairwise(x).cpu().numpy())
    else:
        wanted = len(known.names) if clusters is None else clusters
        rows = distance.prepare(x)[0].cpu().numpy()
        found = cluster.KMeans(wanted, random_state=seed, n_init=4).fit_predict(rows)
    return cluster_scores(found, known.numbers)


def cluster_scores(assignment: Labels, labels: Labels) -> Clustering:
    """NMI, B-cubed and pairwise agreement of any grouping with the identities.

    With n_ij samples of identity j in cluster i, of sizes a_i and b_j::

        B³ precision = (1/N) Σ n_ij² / a_i        B³ recall = (1/N) Σ n_ij² / b_j
        pairwise precision = Σ C(n_ij, 2) / Σ C(a_i, 2),  recall = Σ C(n_ij, 2) / Σ C(b_j, 2)

    Args:
        assignment: the cluster of each sample ``[N]``, integers or strings.
        labels: its identity ``[N]``.

    Raises:
        ValueError: no samples, or two numbers of them.
        ImportError: scikit-learn is missing.

    Example:
        >>> cluster_scores([0, 0, 1, 1], ["anna", "anna", "anna", "ben"]).pairwise
        Agreement(precision=0.5, recall=0.3333333333333333, f=0.4)

    Reference:
        Amigó et al., "A comparison of extrinsic clustering evaluation metrics" (2009).
    """
    own, groups = numbered(assignment, "assignment")
    known, names = numbered(labels, count=len(own), of="assignments")
    if len(own) == 0:
        raise ValueError("there is no sample to score")
    ones = np.ones(len(own), dtype=np.int64)
    both = csr_matrix((ones, (own, known)), shape=(len(groups), len(names))).tocoo()
    shared = both.data.astype(np.float64)
    in_group, in_identity = np.bincount(own)[both.row], np.bincount(known)[both.col]
    pairs = [
        int((n * (n - 1) // 2).sum()) for n in (both.data, np.bincount(own), np.bincount(known))
    ]
    with warnings.catch_warnings():  # some versions take many small groups for a regression
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        nmi = float(_sklearn("metrics").normalized_mutual_info_score(known, own))
    return Clustering(
        clusters=len(groups),
        nmi=nmi,
        b_cubed=_agreement(
            math.fsum(shared**2 / in_group) / len(own),
            math.fsum(shared**2 / in_identity) / len(own),
        ),
        pairwise=_agreement(
            pairs[0] / pairs[1] if pairs[1] else 1.0, pairs[0] / pairs[2] if pairs[2] else 1.0
        ),
        assignment=own.astype(np.int64),
    )


def _agreement(precision: float, recall: float) -> Agreement:
    total = precision + recall
    return Agreement(precision, recall, 2 * precision * recall / total if total else 0.0)


def _within(embeddings: Embeddings, distance: Distance, threshold: float) -> csr_matrix:
    """Distances of the pairs within a threshold, sparse, found tile by tile."""
    x = Rows(embeddings, distance)
    parts = torch.split(torch.arange(len(x)), WIDTH)
    found = []
    for start in range(0, len(x), WIDTH):
        for tile in squared_tiles(x[start : start + WIDTH], x, parts):
            near = distance.from_squared(tile.squared.clamp_(min=0))
            row, place = (near <= threshold).nonzero(as_tuple=True)
            values = near[row, place].double()
            row += start + tile.rows.start
            found.append([row.cpu(), tile.columns[place].cpu(), values.cpu()])
    rows, columns, near_by = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    # A sparse matrix drops zeros, and what it lacks counts as far: the least number stands for 0.
    nonzero = np.where(near_by > 0, near_by, np.nextafter(0, 1))
    return csr_matrix((nonzero, (rows, columns)), shape=(len(x), len(x)))


def _noise_apart(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Every noise sample (-1) as a cluster of its own."""
    noise = found < 0
    return np.where(noise, found.max(initial=-1) + noise.cumsum(), found).astype(np.int64)


def _sklearn(module: str) -> Any:
    try:
        import sklearn.cluster
        import sklearn.metrics
        import sklearn.neighbors
    except ImportError as error:
        raise ImportError(
            "clustering needs scikit-learn: pip install 'metricface[evaluation]'"
        ) from error
    return getattr(sklearn, module)
