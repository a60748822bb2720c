"""What training does to distances: a histogram a method, and the hardest pairs of the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from benchmarks.convergence.folds import load, make_folds
from benchmarks.convergence.run_folder import RAW_PIXELS, UNTRAINED, File
from benchmarks.convergence.settings import Settings
from benchmarks.report.figures import Pairs, Panel
from benchmarks.report.run import Run, read_table
from metricface import plots
from metricface.evaluation import ClassDistances, HardestPairs
from metricface.evaluation.class_distances import least_error_edge

BINS, SHOWN = 60, 8
TITLES = {RAW_PIXELS: "raw pixels", UNTRAINED: "before training"}


def histogram_panels(run: Run) -> list[Panel]:
    """A panel for every method with saved histograms, over one distance axis.

    Drawn is the mean of the densities of all its cells; d′ and the overlap are the means of the
    cells' own. The pixels and the untrained network come first.
    """
    files = {name: run.files_of("histograms", name) for name in (*TITLES, *run.methods)}
    found = {n: [read_histogram(file) for file in cells.values()] for n, cells in files.items()}
    span = max((_reach(each) for cells in found.values() for each in cells), default=0.0)
    return [_panel(TITLES.get(n, n), cells, span) for n, cells in found.items() if cells]


def read_histogram(file: File) -> ClassDistances:
    """A histogram with the moments of its bins' middles.

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
    middles, shares = (edges[:-1] + edges[1:]) / 2, (intra / intra.sum(), inter / inter.sum())
    means = [float(share @ middles) for share in shares]
    spreads = [float(p @ (middles - mean) ** 2) for p, mean in zip(shares, means, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        d_prime = float(np.float64(means[1] - means[0]) / np.sqrt(sum(spreads) / 2))
    moments = (means[0], spreads[0] ** 0.5, means[1], spreads[1] ** 0.5)
    overlap = float(np.minimum(*shares).sum())
    least = least_error_edge(edges, intra, inter)
    return ClassDistances(edges, intra, inter, *moments, d_prime, overlap, *least)


def pooled(cells: Sequence[ClassDistances]) -> ClassDistances:
    """One histogram of several cells, whose edges may differ, over the range they reach.

    Within a bin pairs are taken as evenly spread, and each cell weighs by its pairs.
    """
    edges = np.linspace(0, max(_reach(each) for each in cells), BINS + 1)

    def counts(kind: str) -> npt.NDArray[np.int64]:
        below = [
            np.interp(edges, each.edges, np.append(0, getattr(each, kind).cumsum()))
            for each in cells
        ]
        counted: npt.NDArray[np.int64] = np.diff(np.rint(sum(below))).astype(np.int64)
        return counted

    return _class_distances(edges, counts("intra"), counts("inter"))


def _reach(distances: ClassDistances) -> float:
    """The upper edge of the last bin that holds a pair."""
    filled = np.flatnonzero(distances.intra + distances.inter)
    return float(distances.edges[int(filled[-1]) + 1])


def _panel(title: str, cells: Sequence[ClassDistances], span: float) -> Panel:
    d_prime = float(np.mean([each.d_prime for each in cells]))
    overlap = 100 * float(np.mean([each.overlap for each in cells]))
    found, caption = pooled(cells), f"overlap {overlap:.1f} %, d′ {d_prime:.2f}"
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


def hardest_pairs(run: Run, methods: Sequence[str]) -> list[Pairs]:
    """The hardest pairs of each method's first cell that has them, with their images.

    Raises:
        ValueError: a file that holds something else, or settings that this version does not know.
        ImportError: the images' package is missing.
    """
    unknown = ", ".join(sorted(set(run.settings) - {field.name for field in fields(Settings)}))
    if unknown:
        raise ValueError(f"the run has the settings {unknown}, unknown to this version")
    settings = replace(Settings(**run.settings), device="cpu")  # pictures need no accelerator
    images = load(settings.data, broken=settings.broken)
    folds = make_folds(images, settings)
    sheets = []
    for place, method in enumerate(methods, start=1):
        cell, file = next(iter(run.files_of("hardest", method).items()))
        if cell.fold >= len(folds):
            raise ValueError(f"{file} is of fold {cell.fold}, the settings have {len(folds)}")
        held = folds[cell.fold].held
        found = read_pairs(file, len(held))
        title = f"{cell.method}, seed {cell.seed}, fold {cell.fold}"
        names = [images.names[label] for label in held.labels.tolist()]
        sheets.append(Pairs(f"report-hardest-{place}.png", title, held.images, found, names))
    return sheets


def read_pairs(file: File, images: int) -> HardestPairs:
    """Pairs as they were saved, the first few of each kind, of so many images."""
    table = read_table(file, numbers=("first", "second", "distance"), texts=("kind",))
    sides = [table[table["kind"] == kind].head(SHOWN) for kind in ("impostor", "genuine")]
    rows = [side[["first", "second"]].to_numpy(np.int64) for side in sides]
    last = max(int(side.max(initial=0)) for side in rows)
    if last >= images:
        said = f"{file} speaks of image {last}, {images} are held out"
        raise ValueError(f"{said}: it was written with other images")
    distances = [side["distance"].to_numpy(float) for side in sides]
    return HardestPairs(rows[0], distances[0], rows[1], distances[1])
