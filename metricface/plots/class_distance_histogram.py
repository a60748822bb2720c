"""The picture of a learned distance: pairs of one identity against pairs of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from metricface.evaluation import ClassDistances
from metricface.plots.measured import by_name
from metricface.plots.palette import (
    FAINT,
    INK,
    INTER,
    INTRA,
    axes_or_new,
    legend_beside,
    open_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Density: TypeAlias = "npt.NDArray[np.float64]"


def class_distance_histogram(
    distances: ClassDistances | dict[str, ClassDistances],
    *,
    ax: Axes | None = None,
    log: bool = False,
    shared: bool = True,
) -> Axes:
    """Draw the densities of intra- and inter-identity distances, their overlap and threshold.

    Each density has area 1, although impostor pairs are far more than genuine ones. Their
    overlap is shaded dark and hatched; the threshold of least balanced error is a dotted line; d′
    and the overlap stand in the legend.

    Args:
        distances: what :func:`metricface.evaluation.class_distances` returned; or several under
            their names, drawn one above the other.
        ax: where to draw; a new figure if None.
        log: logarithmic density, which shows the tails where verification errs.
        shared: several are drawn over one distance axis; else each over its own, which shows the
            shape of one that is near collapse.

    Returns:
        The Axes; for several, the frameless host whose ``child_axes`` are the panels, in order.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: anything else.
        ValueError: an empty dict.

    Example:
        >>> from metricface.evaluation import class_distances
        >>> found = class_distances(np.eye(4), [0, 0, 1, 1])
        >>> class_distance_histogram(found).get_xlabel()
        'distance'
    """
    named = by_name(distances, (ClassDistances,), "distances")
    if isinstance(distances, ClassDistances):
        ax = axes_or_new(ax, width=7.0)
        _panel(ax, distances, log=log)
        return ax
    ax = axes_or_new(ax, width=7.0, height=0.6 + 2.2 * len(named))
    ax.set_axis_off()
    share = 1 / len(named)
    gap = share * (0.17 if shared else 0.3)
    span = max(_last_filled_edge(each) for each in named.values())
    for number, (name, each) in enumerate(named.items()):
        bottom = 1 - (number + 1) * share
        panel = ax.inset_axes((0, bottom, 1, share - gap))
        _panel(panel, each, log=log)
        panel.set_title(name, loc="left", fontsize="medium", fontweight="bold")
        if shared:
            panel.set_xlim(0, span)
        if number < len(named) - 1:
            panel.set_xlabel("")
            panel.tick_params(labelbottom=not shared)
    return ax


def _panel(ax: Axes, distances: ClassDistances, *, log: bool) -> None:
    """One pair of histograms with its threshold and legend."""
    width = np.diff(distances.edges)
    intra = distances.intra / distances.intra.sum() / width
    inter = distances.inter / distances.inter.sum() / width
    filled = np.concatenate([intra[intra > 0], inter[inter > 0]])
    floor = float(filled.min()) / 2 if log else 0.0
    _areas(ax, distances, intra, inter, floor)
    ax.axvline(
        distances.threshold,
        color=INK,
        linestyle="dotted",
        linewidth=1.3,
        label=f"threshold {distances.threshold:.3g}",
    )
    if log:
        ax.set_yscale("log")
    ax.set_xlim(0, _last_filled_edge(distances))
    ax.set_ylim(floor, float(filled.max()) * (2.0 if log else 1.05))
    ax.set(xlabel="distance", ylabel="density")
    known = not np.isnan(distances.d_prime)
    legend_beside(ax, title=f"d′ = {distances.d_prime:.2f}" if known else "all are equally far")
    open_frame(ax)


def _areas(
    ax: Axes, distances: ClassDistances, intra: Density, inter: Density, floor: float
) -> None:
    """Both densities down to a floor, and their overlap."""
    edges = distances.edges
    for density, colour, dashes, name in (
        (intra, INTRA, "solid", "same identity"),
        (inter, INTER, "dashed", "different identities"),
    ):
        ax.stairs(density, edges, baseline=floor, fill=True, color=colour, alpha=0.22)
        line = ax.stairs(density, edges, baseline=floor, color=colour, label=name)
        line.set(linestyle=dashes, linewidth=1.5)
    ax.stairs(
        np.minimum(intra, inter),
        edges,
        baseline=floor,
        fill=True,
        facecolor=(0, 0, 0, 0.12),
        edgecolor=FAINT,
        hatch="////",
        linewidth=0,
        label=f"overlap {100 * distances.overlap:.1f} %",
    )


def _last_filled_edge(distances: ClassDistances) -> float:
    """Where the picture ends: the bins reach farther than most of the data."""
    filled = np.flatnonzero(distances.intra + distances.inter)
    last = min(int(filled[-1]) + 1 + len(distances.intra) // 50, len(distances.intra))
    return float(distances.edges[last])
