"""The picture of an embedding that has two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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
    """Draw two-dimensional embeddings, each identity in its own colour and shape, named once.

    Args:
        embeddings: ``[N, 2]``.
        labels: their identities ``[N]``.
        centers: class weights or centres ``[C, 2]``, drawn as rays from the origin: for an
            angular loss what matters is how near to its ray a class lies.
        normalize: scale embeddings to the unit circle, drawn as well, as angular losses and
            verification by cosine see them.
        ax: where to draw; a new figure if None.

    Returns:
        The Axes, with equal scales.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: arguments of the wrong type.
        ValueError: embeddings that are not two-dimensional, NaN or infinite, or none; another
            number of labels.

    Example:
        >>> ax = embedding_plane(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), ["anna", "ben"])
        >>> [text.get_text() for text in ax.texts]
        ['anna', 'ben']

    Reference: Liu et al., "SphereFace", CVPR 2017, figure 2; Wen et al., "A Discriminative
    Feature Learning Approach for Deep Face Recognition", ECCV 2016, figure 2.
    """
    points = _plane(embeddings, "embeddings")
    names = label_array(labels)
    if len(names) != len(points):
        raise ValueError(f"{len(points)} embeddings came with {len(names)} labels")
    if not len(points):
        raise ValueError("there are no embeddings to draw")
    if normalize:
        length = np.linalg.norm(points, axis=1, keepdims=True)
        points = points / np.where(length > 0, length, 1.0)
    ax = axes_or_new(ax, width=4.5, height=4.5)
    reach = 1.12 * float(np.abs(points).max() or 1.0)
    if centers is not None:
        _rays(ax, _plane(centers, "centers"), reach)
    if normalize:
        turn = np.linspace(0, 2 * np.pi, 181)
        ax.plot(np.cos(turn), np.sin(turn), color=FAINT, linewidth=0.8, zorder=0)
    for number, name in enumerate(np.unique(names)):
        _draw_identity(ax, points[names == name], str(name), number)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    open_frame(ax)
    return ax


def _plane(values: Tensor, name: str) -> npt.NDArray[Any]:
    check_embeddings(values, names=(name, ""))
    if values.shape[1] != 2:
        raise ValueError(f"{name} must be two-dimensional to be drawn, got {values.shape[1]}")
    return values.detach().cpu().to(torch.float64).numpy()


def _rays(ax: Axes, centers: npt.NDArray[Any], reach: float) -> None:
    """One line from the origin for each class, as long as the picture."""
    for center in centers:
        length = np.linalg.norm(center)
        if length > 0:
            end = center / length * reach
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
