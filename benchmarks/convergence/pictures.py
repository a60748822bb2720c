"""The two pictures of a run: how fast each method converges and what it does to distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.convergence.folds import Fold
from benchmarks.convergence.measures import raw_pixels
from benchmarks.convergence.methods import METHODS, Method
from benchmarks.convergence.run_folder import RAW_PIXELS, Cell, RunFolder
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.summary import repeats
from benchmarks.convergence.training import Training
from benchmarks.files import write
from metricface import plots
from metricface.evaluation import ClassDistances, class_distances

LABELS = {"recall_at_1": "Recall@1", "tar_at_0.01": "TAR at FAR 1e-2"}
"""How the headline metrics are written in print."""


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
    trained = curves[curves["method"] != RAW_PIXELS].sort_values(
        "method", key=lambda names: names.map(list(METHODS).index), kind="stable"
    )
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    by_step, by_second = figure.subplots(1, 2, sharey=True)
    axes: list[tuple[Axes, Literal["step", "seconds"]]] = [
        (by_step, "step"),
        (by_second, "seconds"),
    ]
    for ax, x in axes:
        plots.convergence(trained, metric=metric, x=x, ax=ax, baseline=baseline, target=target)
    by_step.set(xlabel="optimizer steps", ylabel=f"{LABELS[metric]}, unseen identities")
    by_second.set(xlabel="seconds of training", ylabel="")
    listed, names = by_step.get_legend(), by_second.get_legend()
    if listed is not None:  # one list of methods serves both panels
        listed.remove()
    if names is not None and (trained["over"] == "folds").all():
        names.set_title(f"one seed, mean of {trained['seed'].nunique()}\nfolds, 95 % interval")
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
    rows = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(11.0, 2.1 * rows), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for ax, (title, embeddings) in zip(grid, panels.items(), strict=False):
        plots.class_distance_histogram(_histogram(embeddings, fold.held_labels), ax=ax)
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
        ax.set(xlabel="squared distance", xlim=(0, None))
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    _save(figure, file)


def _histogram(embeddings: Tensor, labels: Tensor) -> ClassDistances:
    """Distances in about 60 bins over the range they reach, which is tiny before training.

    Bins that are too wide for it would show an overlap that is not there.
    """
    coarse = class_distances(embeddings, labels)
    reached = int(np.flatnonzero(coarse.intra + coarse.inter)[-1]) + 1
    return class_distances(embeddings, labels, bins=round(len(coarse.intra) * 60 / reached))


def _save(figure: Figure, file: Path) -> None:
    write(file, lambda temporary: figure.savefig(temporary, format="png", dpi=150))
