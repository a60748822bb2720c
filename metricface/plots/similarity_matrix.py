"""The picture of who resembles whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.given import check_distance
from metricface.evaluation.given import embedding_matrix
from metricface.plots.palette import INK, axes_or_new
from metricface.types import Embeddings, Labels, numbered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGEST = 4096
_NAMED = 30


def similarity_matrix(
    embeddings: Embeddings,
    labels: Labels,
    *,
    ax: Axes | None = None,
    distance: Distance | None = None,
) -> Axes:
    """Draw the distances of all pairs as a square, sorted by identity.

    Near is dark, so a model that tells identities apart shows dark blocks along the diagonal;
    dark spots elsewhere are impostors. Thin lines separate the identities, and where there are at
    most 30 they are named.

    Args:
        embeddings: floating ``[N, D]``, at most 4,096: a page has no more dots.
        labels: one identity per row, integers or strings.
        ax: where to draw; a new figure with a colour bar if None.
        distance: what is drawn; squared Euclidean of normalised embeddings if None.

    Returns:
        The Axes.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: too many or no embeddings, bad label count.

    Example:
        >>> ax = similarity_matrix(np.eye(3), ["ben", "anna", "ben"])
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['anna', 'ben']
    """
    x = embedding_matrix(embeddings)
    of, identities = numbered(labels, count=len(x))
    if not 1 <= len(x) <= _LARGEST:
        raise ValueError(
            f"a similarity matrix shows 1 to {_LARGEST} embeddings, got {len(x)}: draw a sample"
        )
    order = np.argsort(of, kind="stable")
    measure = SquaredEuclidean() if distance is None else check_distance(distance)
    square = measure.pairwise(x[order.tolist()]).cpu().numpy()
    given = ax
    ax = axes_or_new(ax, width=5.6, height=4.8)
    # A single-hue scale whose lightness falls evenly: clear in grey print and to every eye.
    image = ax.imshow(square, cmap="cividis", interpolation="nearest", vmin=0)
    ends = np.bincount(of).cumsum()
    for end in ends[:-1] - 0.5:
        ax.axhline(end, color="white", linewidth=0.4)
        ax.axvline(end, color="white", linewidth=0.4)
    middle = ends - (np.bincount(of) + 1) / 2
    if len(identities) <= _NAMED:
        ax.set_yticks(middle, [str(name) for name in identities.tolist()], fontsize="small")
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(identities)} identities")
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_color(INK)
    if given is None:
        ax.figure.colorbar(image, ax=ax, label="distance", shrink=0.85)
    return ax
