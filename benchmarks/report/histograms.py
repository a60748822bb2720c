"""Distances within and between identities, one small histogram a method."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from benchmarks.convergence.run_folder import RAW_PIXELS, UNTRAINED
from benchmarks.report.document import Panel
from benchmarks.report.run import Run, read_table
from metricface import plots
from metricface.evaluation import ClassDistances

BINS = 60
TITLES = {RAW_PIXELS: "raw pixels", UNTRAINED: "before training"}


def histogram_panels(run: Run) -> list[Panel]:
    """A panel for every method with saved histograms, over one distance axis.

    Drawn is the mean of the densities of all its cells; d′ and the overlap are the means of the
    cells' own. The pixels and the untrained network come first.

    Raises:
        ValueError: a file in the folder that is not a histogram.
    """
    found = {}
    for name in (RAW_PIXELS, UNTRAINED, *run.methods):
        files = run.files_of("histograms", name)
        if files:
            found[name] = [read_histogram(file) for file in files.values()]
    if not found:
        return []
    span = max(_reach(each) for cells in found.values() for each in cells)
    return [_panel(TITLES.get(name, name), cells, span) for name, cells in found.items()]


def read_histogram(file: Path) -> ClassDistances:
    """A histogram with the moments of its bins' middles.

    Args:
        file: a CSV with the columns ``lower``, ``upper``, ``intra`` and ``inter``.

    Raises:
        ValueError: other columns, bins that do not join, or no pair of one of the kinds.
    """
    table = read_table(file, numbers=("lower", "upper", "intra", "inter"))
    edges = np.append(table["lower"].to_numpy(float), float(table["upper"].iloc[-1]))
    intra, inter = table["intra"].to_numpy(np.int64), table["inter"].to_numpy(np.int64)
    if not np.allclose(edges[1:], table["upper"].to_numpy(float)) or (np.diff(edges) <= 0).any():
        raise ValueError(f"{file} is not a histogram: its bins do not join")
    if not intra.sum() or not inter.sum():
        raise ValueError(f"{file} counts no pair of one identity, or none of two")
    return _class_distances(edges, intra, inter)


def _class_distances(
    edges: npt.NDArray[np.float64], intra: npt.NDArray[np.int64], inter: npt.NDArray[np.int64]
) -> ClassDistances:
    """Moments from the middles of the bins, overlap and threshold from the counts."""
    middles = (edges[:-1] + edges[1:]) / 2
    p, q = intra / intra.sum(), inter / inter.sum()
    means = [float(share @ middles) for share in (p, q)]
    variances = [
        float(share @ (middles - mean) ** 2) for share, mean in zip((p, q), means, strict=True)
    ]
    errors = (1 - np.append(0, p.cumsum()) + np.append(0, q.cumsum())) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        d_prime = np.float64(means[1] - means[0]) / np.sqrt(sum(variances) / 2)
    return ClassDistances(
        edges=edges,
        intra=intra,
        inter=inter,
        intra_mean=means[0],
        intra_std=variances[0] ** 0.5,
        inter_mean=means[1],
        inter_std=variances[1] ** 0.5,
        d_prime=float(d_prime),
        overlap=float(np.minimum(p, q).sum()),
        threshold=float(edges[errors.argmin()]),
        error=float(errors.min()),
    )


def pooled(cells: list[ClassDistances]) -> ClassDistances:
    """One histogram of several cells, whose edges may differ, over the range they reach.

    Within a bin pairs are taken as evenly spread, and each cell weighs by its pairs.

    Args:
        cells: at least one.
    """
    edges = np.linspace(0, max(_reach(each) for each in cells), BINS + 1)
    counts = []
    for kind in ("intra", "inter"):
        below = sum(
            np.interp(edges, each.edges, np.append(0, getattr(each, kind).cumsum()))
            for each in cells
        )
        counts.append(np.diff(np.rint(below)).astype(np.int64))
    return _class_distances(edges, counts[0], counts[1])


def _reach(distances: ClassDistances) -> float:
    """The upper edge of the last bin that holds a pair."""
    filled = np.flatnonzero(distances.intra + distances.inter)
    return float(distances.edges[int(filled[-1]) + 1])


def _panel(title: str, cells: list[ClassDistances], span: float) -> Panel:
    d_prime = float(np.mean([each.d_prime for each in cells]))
    overlap = 100 * float(np.mean([each.overlap for each in cells]))
    found = pooled(cells)
    caption = f"overlap {overlap:.1f} %, d′ {d_prime:.2f}"
    alt = (
        f"Densities of the distances within and between identities, {title}: {caption}, "
        f"least error at {found.threshold:.2f}."
    )
    return Panel(title, caption, alt, partial(_draw, found=found, span=span), height=1.55)


def _draw(ax: Axes, *, found: ClassDistances, span: float) -> None:
    """The densities without a legend, which the text around the panels gives once."""
    plots.class_distance_histogram(found, ax=ax)
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    for patch in ax.patches:
        if patch.get_hatch():  # in SVG a hatch fades with its ground, which is nearly clear
            patch.set_facecolor("none")
    ax.set(xlim=(0, span), ylabel="", yticks=[])
    ax.spines["left"].set_visible(False)
