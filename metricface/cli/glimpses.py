"""What the page shows of a set beside its figures: distances, the hardest pairs, identities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from metricface.cli.listed import ListedPairs
from metricface.cli.tables import Table
from metricface.distances import Distance
from metricface.distances.rows import Rows
from metricface.evaluation import ClassDistances, HardestPairs, class_distances, hardest_pairs
from metricface.evaluation.class_distances import least_error_edge

_PAIRS = 12  # of each kind
_BINS = 100
_AT_ONCE = 1 << 22  # entries of embeddings measured together


class Glimpses(NamedTuple):
    """Distances within and between identities, and the pairs that are judged worst."""

    distances: ClassDistances
    hardest: HardestPairs


def glimpses(read: Table, listed: ListedPairs | None, measure: Distance) -> Glimpses:
    """Over all pairs of a set, or those of a list, which need no labels.

    Of all pairs those of the same identities come once: one wrong label would fill the list.

    Args:
        read: the set.
        listed: pairs of both kinds; None for all there are.
        measure: the distance.

    Raises:
        ValueError: no pair of one of the kinds.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> read = Table(np.eye(4), np.array([]), None)
        >>> listed = ListedPairs(np.array([[1, 0], [2, 3]]), np.array([True, False]))
        >>> glimpses(read, listed, SquaredEuclidean()).hardest.impostors
        array([[2, 3]])
    """
    if listed is not None:
        return _of_listed(read, listed, measure)
    x, labels = read.embeddings, read.labels
    return Glimpses(
        class_distances(x, labels, bins=_BINS, distance=measure),
        hardest_pairs(x, labels, count=_PAIRS, per_pair=1, distance=measure),
    )


def _of_listed(read: Table, listed: ListedPairs, measure: Distance) -> Glimpses:
    values, same = _distances(read, listed.rows, measure), listed.same
    genuine, impostors = np.flatnonzero(same), np.flatnonzero(~same)
    near = impostors[np.argsort(values[impostors], kind="stable")][:_PAIRS]
    far = genuine[np.argsort(-values[genuine], kind="stable")][:_PAIRS]
    return Glimpses(
        _histogram(values[same], values[~same]),
        HardestPairs(
            impostors=listed.rows[near],
            impostor_distances=values[near],
            genuine=listed.rows[far],
            genuine_distances=values[far],
        ),
    )


def _distances(
    read: Table, pairs: npt.NDArray[np.int64], measure: Distance
) -> npt.NDArray[np.float64]:
    """The distance of each pair of rows, of some pairs at a time."""
    rows = Rows(read.embeddings, measure)
    parts = torch.split(torch.from_numpy(pairs), max(1, _AT_ONCE // rows.dim))
    measured = [measure.paired(*(rows.raw(side) for side in part.unbind(1))) for part in parts]
    found: npt.NDArray[np.float64] = torch.cat(measured).double().numpy()
    return found


def _histogram(intra: npt.NDArray[np.float64], inter: npt.NDArray[np.float64]) -> ClassDistances:
    """What :func:`class_distances` tells of all pairs, of distances that are at hand."""
    edges = np.linspace(0.0, max(intra.max(), inter.max()) or 1.0, _BINS + 1)
    counts = [np.histogram(kind, edges)[0].astype(np.int64) for kind in (intra, inter)]
    shares = [count / count.sum() for count in counts]
    threshold, error = least_error_edge(edges, *counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        d_prime = (inter.mean() - intra.mean()) / np.sqrt((intra.var() + inter.var()) / 2)
    return ClassDistances(
        edges=edges,
        intra=counts[0],
        inter=counts[1],
        intra_mean=float(intra.mean()),
        intra_std=float(intra.std()),
        inter_mean=float(inter.mean()),
        inter_std=float(inter.std()),
        d_prime=float(d_prime),
        overlap=float(np.minimum(*shares).sum()),
        threshold=threshold,
        error=error,
    )
