"""The two pictures of a run: how fast each method converges and what it does to distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.convergence.folds import Fold
from benchmarks.convergence.measures import raw_pixels
from benchmarks.convergence.methods import Method
from benchmarks.convergence.run_folder import RAW_PIXELS, Cell, RunFolder, write
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.summary import repeats
from benchmarks.convergence.training import Training
from metricface import plots
from metricface.evaluation import class_distances


def draw_convergence(results: pd.DataFrame, *, metric: str, target: float, file: Path) -> None:
    """The metric on held-out identities by step and by second of training, every method.

    Args:
        results: all rows of a run.
        metric: the column to draw.
        target: drawn as a line.
        file: the PNG to write.
    """
    curves = repeats(results)
    pixels = curves[curves["method"] == RAW_PIXELS]
    baseline = {"raw centred pixels": float(pixels[metric].mean())}
    trained = curves[curves["method"] != RAW_PIXELS]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    by_step, by_second = figure.subplots(1, 2, sharey=True)
    plots.convergence(
        trained, metric=metric, x="step", ax=by_step, baseline=baseline, target=target
    )
    plots.convergence(
        trained, metric=metric, x="seconds", ax=by_second, baseline=baseline, target=target
    )
    by_second.set_ylabel("")
    _save(figure, file)


def draw_histograms(
    methods: Sequence[Method], fold: Fold, settings: Settings, folder: RunFolder, file: Path
) -> None:
    """Distances within and between held-out identities, before training and after.

    Each method's network of the first seed and fold is taken from its last checkpoint and embeds
    the held-out images again. Before training all methods have the same weights.

    Args:
        methods: one panel each, after the panels of pixels and of the untrained network.
        fold: the first one.
        settings: of the run.
        folder: holds the checkpoints.
        file: the PNG to write.
    """
    untrained = Training(methods[0], fold, settings, seed=0)
    panels = {
        "raw centred pixels": raw_pixels(fold.held_images),
        "before training": untrained.embed(fold.held_images),
    }
    for method in methods:
        checkpoint = folder.checkpoint(Cell(method.name, seed=0, fold=0))
        if checkpoint is not None:
            untrained.network.load_state_dict(checkpoint["training"]["network"])
            panels[f"after {method.name}"] = untrained.embed(fold.held_images)
    wide = min(4, len(panels))
    high = math.ceil(len(panels) / wide)
    figure = Figure(figsize=(3.6 * wide, 2.9 * high), layout="constrained")
    grid = figure.subplots(high, wide, sharex=True, squeeze=False).ravel()
    for ax, (title, embeddings) in zip(grid, panels.items(), strict=False):
        plots.class_distance_histogram(class_distances(embeddings, fold.held_labels), ax=ax)
        ax.set_title(title, fontsize="medium")
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    write(file, lambda temporary: figure.savefig(temporary, format="png", dpi=150))
