"""Draw the pictures of the evaluation page: ``python docs/figures/evaluation.py``."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from benchmarks.convergence.folds import Fold, load, make_folds
from benchmarks.convergence.methods import METHODS
from benchmarks.convergence.settings import DEFAULTS
from benchmarks.convergence.training import Training
from metricface import plots
from metricface.evaluation import class_distances, hardest_pairs, verification

FOLDER = Path(__file__).parent
STEPS = {"orl": 120, "glyphs": 200}
METHOD = "semi-hard"


def embeddings(data: str) -> tuple[Fold, torch.Tensor, torch.Tensor]:
    """Unseen identities as the network sees them before training and after."""
    settings = DEFAULTS[data]
    fold = make_folds(load(data), settings)[0]
    training = Training(METHODS[METHOD], fold, settings, seed=0)
    before = training.embed(fold.held_images)
    for _ in range(STEPS[data]):
        training.advance()
    return fold, before, training.embed(fold.held_images)


def draw(data: str) -> None:
    """Histograms, ROC and the hardest pairs of one data set."""
    fold, before, after = embeddings(data)
    stages = {"before training": before, f"after {STEPS[data]} steps": after}
    ax = plots.class_distance_histogram(
        {name: class_distances(x, fold.held_labels) for name, x in stages.items()}
    )
    save(ax.figure, f"{data}_histogram.png")
    curves = {name: verification(x, fold.held_labels) for name, x in stages.items()}
    save(plots.roc(curves).figure, f"{data}_roc.png")
    found = hardest_pairs(after, fold.held_labels, count=8)
    sheet = plots.hardest_pairs_sheet(fold.held_images, found, labels=fold.held_labels)
    save(sheet.figure, f"{data}_hardest_pairs.png")
    for name, each in curves.items():
        print(f"{data:<8}{name:<22} EER {each.eer:.4f}  AUC {each.auc:.4f}  TAR {each.tar}")


def save(figure: object, name: str) -> None:
    """Write a PNG whole or not at all."""
    if not isinstance(figure, Figure):
        raise TypeError(f"expected a whole figure, got {type(figure).__name__}")
    part = FOLDER / f".{name}.part.png"
    figure.savefig(part, dpi=100, metadata={"Software": None})
    os.replace(part, FOLDER / f"evaluation_{name}")
    plt.close(figure)


if __name__ == "__main__":
    for chosen in DEFAULTS:
        draw(chosen)
