"""The picture of a model's worst mistakes: the images of the hardest pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from metricface.evaluation import HardestPairs
from metricface.plots.image_panels import framed, shown
from metricface.plots.palette import INTER, INTRA, axes_or_new
from metricface.types import Labels, label_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def hardest_pairs_sheet(
    images: Tensor | npt.NDArray[Any],
    found: HardestPairs,
    *,
    labels: Labels | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show the most alike impostors above the least alike genuine pairs, the two of each joined.

    Args:
        images: of all samples: ``[N, H, W]``, ``[N, 1 or 3, H, W]`` or ``[N, H, W, 1 or 3]``, in
            0..1 or uint8.
        found: what :func:`metricface.evaluation.hardest_pairs` returned; its numbers are rows of
            the images.
        labels: names written under the images ``[N]``; None: none.
        ax: where to draw; a new figure if None.

    Returns:
        The frameless host whose ``child_axes`` are the pairs: impostors first, then genuine.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: images of another shape or range, or too few for the pairs.

    Example:
        >>> from metricface.evaluation import hardest_pairs
        >>> found = hardest_pairs(np.eye(4), [0, 0, 1, 1], count=2)
        >>> sheet = hardest_pairs_sheet(np.zeros((4, 8, 8)), found)
        >>> len(sheet.child_axes)
        4
    """
    names = None if labels is None else label_array(labels).tolist()
    last = int(max(found.impostors.max(initial=0), found.genuine.max(initial=0)))
    if len(images) <= last or (names is not None and len(names) <= last):
        raise ValueError(f"the pairs speak of row {last}, got {len(images)} images or their labels")
    columns = max(len(found.impostors), len(found.genuine))
    ax = axes_or_new(ax, width=max(3.0, 1.35 * columns), height=2.7)
    ax.set_axis_off()
    rows = (
        (0.5, found.impostors, found.impostor_distances, INTER, "most alike impostors"),
        (
            0.0,
            found.genuine,
            found.genuine_distances,
            INTRA,
            "least alike pictures of one identity",
        ),
    )
    for bottom, pairs, distances, colour, title in rows:
        heading = ax.text(0, bottom + 0.49, title, transform=ax.transAxes, va="top")
        heading.set(color=colour, fontweight="bold", fontsize="small")
        for number, (pair, value) in enumerate(zip(pairs.tolist(), distances, strict=True)):
            place = (number / columns, bottom + 0.01, 0.96 / columns, 0.38)
            joined = np.concatenate([shown(images[i]) for i in pair], axis=1)
            panel = framed(ax.inset_axes(place), joined, colour)
            panel.set_title(f"{value:.2f}", fontsize="x-small", pad=2)
            if names is not None:
                said = " · ".join(dict.fromkeys(str(names[i]) for i in pair))
                panel.set_xlabel(said, fontsize="xx-small", labelpad=1)
    return ax
