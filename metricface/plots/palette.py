"""The look of every picture, in one place: colours, line styles, and an Axes to draw on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTRA, INTER = "#0072B2", "#D55E00"
"""Pairs of one identity, and of two: blue and vermilion, distinct to colour-blind readers too."""
INK, FAINT = "#222222", "#8A8A8A"
"""Lines and words that carry no method: thresholds, baselines, targets."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "solid",
    (0, (5, 2)),
    (0, (6, 2, 1.2, 2)),
    (0, (2.5, 1.5)),
    (0, (6, 2, 1.2, 2, 1.2, 2)),
)


class LineStyle(TypedDict):
    """What tells the lines of methods apart; the dashes do so without the colour."""

    color: str
    linestyle: str | tuple[int, tuple[float, ...]]


def line_style(number: int) -> LineStyle:
    """Colour (Okabe and Ito's) and dashes of the n-th method: 35 combinations before a repeat.

    Args:
        number: which method, from 0.

    Example:
        >>> line_style(0)
        {'color': '#0072B2', 'linestyle': 'solid'}

    Reference:
        Okabe and Ito, "Color Universal Design" (2008).
    """
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
    }


def axes_or_new(ax: Axes | None, *, width: float, height: float = 3.6) -> Axes:
    """The given Axes, or those of a new figure.

    Args:
        ax: where to draw, or None.
        width: of a new figure, in inches.
        height: of a new figure, in inches.

    Raises:
        ImportError: matplotlib is missing.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "metricface.plots needs matplotlib: pip install 'metricface[plots]'"
        ) from error
    _, new = plt.subplots(figsize=(width, height), layout="constrained")
    return new


def legend_beside(ax: Axes, *, title: str, order: Sequence[int] | None = None) -> None:
    """A legend to the right of the picture, where it covers no data.

    Args:
        ax: Axes whose labelled artists are listed.
        title: what stands above the list.
        order: places of the labelled artists in the list, top first; as drawn if None.
    """
    handles, names = ax.get_legend_handles_labels()
    order = range(len(names)) if order is None else order
    legend = ax.legend(
        [handles[i] for i in order],
        [names[i] for i in order],
        title=title,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        alignment="left",
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        handlelength=3.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold two dollars


def open_frame(ax: Axes) -> None:
    """Leave the two sides of the frame that carry ticks."""
    ax.spines[["top", "right"]].set_visible(False)
