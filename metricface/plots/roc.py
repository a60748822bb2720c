"""The picture of a trade: how many genuine pairs are won at how many false accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.evaluation import Roc, Verification
from metricface.plots.measured import by_name
from metricface.plots.palette import FAINT, axes_or_new, legend_beside, line_style, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def roc(
    curves: Verification | Roc | dict[str, Verification | Roc],
    *,
    ax: Axes | None = None,
    log: bool = True,
) -> Axes:
    """Draw TAR against FAR, one line per model.

    The FAR axis is logarithmic, because what matters happens where impostors are hardly ever let
    in. It begins at 1 / (number of impostor pairs), below which no FAR can be told from 0 (of a
    bare curve, at its least FAR above 0); a FAR of 0, which has no place there, is drawn at the
    left edge. Lines are steps: no threshold gives a TAR between two of them.

    Args:
        curves: what :func:`metricface.evaluation.verification` returned, or its ``roc``; or
            several under their names.
        ax: where to draw; a new figure if None.
        log: logarithmic FAR axis; else linear, with the diagonal of chance.

    Returns:
        The Axes.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: anything else.
        ValueError: an empty dict.

    Example:
        >>> from metricface.evaluation import verification
        >>> found = verification(np.eye(6), [0, 0, 0, 1, 1, 1], folds=2, fars=(0.5,))
        >>> roc(found).get_xlabel()
        'false accept rate'
    """
    named: dict[str, Verification | Roc] = by_name(curves, (Verification, Roc), "curves")
    ax = axes_or_new(ax, width=6.4, height=4.0)
    floor = 1.0
    for number, (name, curve) in enumerate(named.items()):
        label, points = _points(name, curve)
        one = _least_far(curve)
        floor = min(floor, one)
        far = np.maximum(points.far, one / 2) if log else points.far
        steps = "steps-post"
        ax.plot(far, points.tar, drawstyle=steps, linewidth=1.7, label=label, **line_style(number))
    if log:
        ax.set_xscale("log")
        ax.set_xlim(min(floor, 0.5), 1.0)
    else:
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="dotted", label="chance")
        ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.01)
    ax.set(xlabel="false accept rate", ylabel="true accept rate")
    ax.grid(visible=True, which="major", color=FAINT, alpha=0.25, linewidth=0.6)
    if any(label for label in named) or isinstance(curves, Verification):
        legend_beside(ax, title="")
    open_frame(ax)
    return ax


def _points(name: str, curve: Verification | Roc) -> tuple[str, Roc]:
    """The legend entry of a curve, and the curve."""
    if isinstance(curve, Roc):
        return name or "_", curve
    figures = f"EER {100 * curve.eer:.1f} %, AUC {curve.auc:.4f}"
    return f"{name}\n{figures}" if name else figures, curve.roc


def _least_far(curve: Verification | Roc) -> float:
    """The least FAR that can be told from 0: one impostor pair, where their number is known."""
    if isinstance(curve, Verification):
        return 1 / curve.impostor_pairs
    return float(curve.far[curve.far > 0][0])
