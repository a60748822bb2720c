"""The picture of whom a set holds: the images of identities, a row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from metricface.given import as_count
from metricface.plots.image_panels import framed, shown
from metricface.plots.palette import FAINT, axes_or_new
from metricface.types import Labels, label_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 64
_SIDE, _GAP, _HEADING = 0.7, 0.1, 0.17  # inches: of an image, above a heading, and of it


def identity_sheet(
    images: Tensor | npt.NDArray[Any],
    labels: Labels,
    *,
    identities: Labels | None = None,
    columns: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Show the images of one identity, or of several in a row each, under their names.

    Whether crops lie alike, and whether they are all of one person, is seen at a glance.

    Args:
        images: of all samples: ``[N, H, W]``, ``[N, 1 or 3, H, W]`` or ``[N, H, W, 1 or 3]``, in
            0..1 or uint8.
        labels: one identity per image, integers or strings ``[N]``.
        identities: which to show, from the top; all of them, in their order, if None.
        columns: images in a row; of an identity that has more, the first so many are shown, and
            its heading says of how many.
        ax: where to draw; a new figure if None.

    Returns:
        The frameless host whose ``child_axes`` are the images, row by row.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: labels or identities that are neither integers nor strings.
        ValueError: an identity without an image, more than 64 of them or none, other counts or
            shapes, columns below 1.

    Example:
        >>> ax = identity_sheet(np.zeros((3, 8, 8)), ["ben", "anna", "ben"])
        >>> [text.get_text() for text in ax.texts], len(ax.child_axes)
        (['anna', 'ben'], 3)
    """
    columns, of = as_count("columns", columns), label_array(labels)
    if len(images) != len(of):
        raise ValueError(f"{len(images)} images came with {len(of)} labels")
    chosen = np.unique(of) if identities is None else label_array(identities, "identities")
    if not 1 <= len(chosen) <= _ROWS:
        raise ValueError(
            f"a sheet shows 1 to {_ROWS} identities, got {len(chosen)}: name some as identities="
        )
    rows = [(name, _rows_of(name, of)) for name in chosen.tolist()]
    across = min(columns, max(len(members) for _, members in rows))
    pitch = _SIDE + _GAP + _HEADING
    ax = axes_or_new(ax, width=max(2.0, (_SIDE + 0.05) * across), height=pitch * len(rows) + 0.1)
    ax.set_axis_off()
    for number, (name, members) in enumerate(rows):
        top = 1 - number / len(rows)
        more = f", {across} of {len(members)}" if len(members) > across else ""
        at = top - _GAP / pitch / len(rows)  # nearer to its own images than to those above it
        heading = ax.text(0, at, f"{name}{more}", transform=ax.transAxes, va="top")
        heading.set(fontsize="small", parse_math=False)  # a name may hold two dollars
        tall = _SIDE / pitch / len(rows)
        for place, i in enumerate(members[:across]):
            where = (place / across, top - 1 / len(rows), 0.94 / across, tall)
            framed(ax.inset_axes(where), shown(images[i]), FAINT)
    return ax


def _rows_of(identity: int | str, labels: npt.NDArray[Any]) -> list[int]:
    """Where its images are."""
    found: list[int] = np.flatnonzero(labels == identity).tolist()
    if not found:
        raise ValueError(f"no image is of identity {identity!r}")
    return found
