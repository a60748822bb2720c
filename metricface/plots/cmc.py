"""The picture of a search: how far down the list the right person stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.evaluation import Identification
from metricface.plots.measured import by_name
from metricface.plots.palette import FAINT, axes_or_new, legend_beside, line_style, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def cmc(
    found: Identification | dict[str, Identification],
    *,
    ax: Axes | None = None,
    ranks: int = 50,
    log: bool = False,
) -> Axes:
    """Draw the cumulative match characteristic, one line per model.

    Args:
        found: what :func:`metricface.evaluation.identification` returned; or several under their
            names.
        ax: where to draw; a new figure if None.
        ranks: how far to the right, at least 1.
        log: logarithmic rank axis, for galleries with many distractors.

    Returns:
        The Axes.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: anything else.
        ValueError: an empty dict, ranks below 1.

    Example:
        >>> from metricface.evaluation import identification
        >>> cmc(identification(np.eye(3), [0, 1, 2], np.eye(3), [0, 1, 2])).get_xlabel()
        'rank'
    """
    named = by_name(found, (Identification,), "found")
    if ranks < 1:
        raise ValueError(f"ranks must be at least 1, got {ranks}")
    ax = axes_or_new(ax, width=6.4, height=4.0)
    for number, (name, each) in enumerate(named.items()):
        shown = each.cmc[:ranks]
        label = f"{name}\nrank 1: {100 * each.cmc[0]:.1f} %".lstrip()
        alone = "o" if len(shown) == 1 else None  # a line of one point shows nothing
        (line,) = ax.plot(np.arange(1, len(shown) + 1), shown, marker=alone, label=label)
        line.set(linewidth=1.7, **line_style(number))
    if log:
        ax.set_xscale("log")
    longest = min(ranks, max(len(each.cmc) for each in named.values()))
    ax.set_xlim(1, max(longest, 2))
    ax.set_ylim(0, 1.01)
    ax.set(xlabel="rank", ylabel="identified at or before it")
    ax.grid(visible=True, color=FAINT, alpha=0.25, linewidth=0.6)
    legend_beside(ax, title="")
    open_frame(ax)
    return ax
