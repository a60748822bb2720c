"""The picture of embeddings on the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances.unit_rows import unit_rows
from metricface.embeddings import check_embeddings
from metricface.plots.palette import FAINT, INK, axes_or_new, line_style, open_frame
from metricface.types import Labels, label_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "^", "s", "v", "D", "P", "X")


def embedding_plane(
    embeddings: Tensor,
    labels: Labels,
    *,
    centers: Tensor | None = None,
    normalize: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw embeddings on the plane, each identity in its own colour and shape, named once.

    Of more than two dimensions, the two principal components are drawn, about the mean: the axes
    say so, and what share of the variance each of them shows.

    Args:
        embeddings: ``[N, D]``, D at least 2.
        labels: their identities ``[N]``.
        centers: class weights or centres ``[C, 2]`` of two-dimensional embeddings, drawn as rays
            from the origin: for an angular loss what matters is how near to its ray a class lies.
        normalize: scale embeddings to unit length, as angular losses and verification by cosine
            see them; of two dimensions the unit circle is drawn as well.
        ax: where to draw; a new figure if None.

    Returns:
        The Axes, with equal scales.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: arguments of the wrong type.
        ValueError: embeddings of one dimension, NaN or infinite, or none; another number of labels;
            centers of more dimensions than two.

    Example:
        >>> ax = embedding_plane(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), ["anna", "ben"])
        >>> [text.get_text() for text in ax.texts]
        ['anna', 'ben']
        >>> x = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> embedding_plane(x, ["anna", "ben", "ben"]).get_xlabel()
        'principal component 1 of 3, 93 % of the variance'

    Reference: Liu et al., "SphereFace", CVPR 2017, figure 2; Wen et al., "A Discriminative
    Feature Learning Approach for Deep Face Recognition", ECCV 2016, figure 2.
    """
    rows = _doubles(embeddings, "embeddings")
    names = label_array(labels)
    if len(names) != len(rows):
        raise ValueError(f"{len(rows)} embeddings came with {len(names)} labels")
    if not len(rows):
        raise ValueError("there are no embeddings to draw")
    dimensions = rows.shape[1]
    if dimensions < 2:
        raise ValueError("embeddings must have at least two dimensions to be drawn, got 1")
    rays = None if centers is None else _doubles(centers, "centers")
    for given in () if rays is None else (rays.shape[1], dimensions):
        if given != 2:
            raise ValueError(
                "centers are rays from the origin, which a projection does not keep: both they and "
                f"the embeddings must be two-dimensional, got {given} dimensions"
            )
    rows = unit_rows(rows) if normalize else rows
    ax = axes_or_new(ax, width=4.5, height=4.5)
    if dimensions > 2:
        rows, shares = _principal(rows)
        said = [
            f"principal component {number} of {dimensions}, {100 * share:.0f} % of the variance"
            for number, share in enumerate(shares, 1)
        ]
        ax.set(xlabel=said[0], ylabel=said[1])
    points = rows.numpy()
    reach = 1.12 * float(np.abs(points).max() or 1.0)
    if rays is not None:
        _rays(ax, unit_rows(rays).numpy(), reach)
    if normalize and dimensions == 2:
        turn = np.linspace(0, 2 * np.pi, 181)
        ax.plot(np.cos(turn), np.sin(turn), color=FAINT, linewidth=0.8, zorder=0)
    for number, name in enumerate(np.unique(names)):
        _draw_identity(ax, points[names == name], str(name), number)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    open_frame(ax)
    return ax


def _doubles(values: Tensor, name: str) -> Tensor:
    check_embeddings(values, names=(name, ""))
    return values.detach().cpu().to(torch.float64)


def _principal(rows: Tensor) -> tuple[Tensor, list[float]]:
    """The first two principal components ``[N, 2]`` and the shares of the variance they show."""
    size = rows.abs().max().clamp_min(torch.finfo(rows.dtype).tiny)
    centred = rows / size  # squares of what is tiny would vanish
    centred = centred - centred.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred)
    first = directions[:, [-1, -2]]
    # Either direction of an axis is right: the one in which its largest entry points is taken.
    first = first * first.gather(0, first.abs().argmax(0, keepdim=True)).sign()
    total = variances.clamp_min(0).sum().clamp_min(torch.finfo(rows.dtype).tiny)
    shares = (variances[[-1, -2]].clamp_min(0) / total).tolist()
    return centred @ first * size, shares


def _rays(ax: Axes, centers: npt.NDArray[Any], reach: float) -> None:
    """One line from the origin along each unit row, as long as the picture; none along zeros."""
    for center in centers:
        if center.any():
            end = center * reach
            ax.plot([0, end[0]], [0, end[1]], color=FAINT, linewidth=0.7, zorder=0)


def _draw_identity(ax: Axes, points: npt.NDArray[Any], name: str, number: int) -> None:
    """A class as a cloud, with its name at the mean."""
    ax.scatter(
        points[:, 0],
        points[:, 1],
        s=7,
        alpha=0.55,
        linewidths=0,
        color=line_style(number)["color"],
        marker=_MARKERS[number // 7 % len(_MARKERS)],
    )
    ax.annotate(
        name,
        tuple(points.mean(0)),
        ha="center",
        va="center",
        fontsize="small",
        fontweight="bold",
        color=INK,
        bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
    )
