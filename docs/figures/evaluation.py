"""Draw the pictures of the evaluation page: ``python docs/figures/evaluation.py``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from benchmarks.convergence.folds import Held, load, make_folds
from benchmarks.convergence.methods import METHODS, Setup
from benchmarks.convergence.settings import defaults
from metricface import plots
from metricface.evaluation import class_distances, hardest_pairs, verification
from metricface.recipes import embed

FOLDER = Path(__file__).parent
STEPS = {"orl": 120, "glyphs": 200}
METHOD = METHODS["semi-hard"]


def embeddings(data: str) -> tuple[Held, torch.Tensor, torch.Tensor]:
    """Unseen identities as the network sees them before training and after."""
    settings = replace(defaults(data), steps=STEPS[data], eval_every=STEPS[data])
    fold = make_folds(load(data), settings)[0]
    with TemporaryDirectory() as folder:
        setup = Setup(settings, fold, seed=0, folder=Path(folder), progress=False)
        before = embed(setup.model(), fold.held)
        return fold.held, before, embed(METHOD.train(setup, METHOD.default).model, fold.held)


def draw(data: str) -> None:
    """Histograms, ROC and the hardest pairs of one data set."""
    held, before, after = embeddings(data)
    stages = {"before training": before, f"after {STEPS[data]} steps": after}
    ax = plots.class_distance_histogram(
        {name: class_distances(x, held.labels, bins=120) for name, x in stages.items()},
        shared=False,
    )
    save(ax.figure, f"{data}_histogram.png")
    curves = {name: verification(x, held.labels) for name, x in stages.items()}
    save(plots.roc({**curves}).figure, f"{data}_roc.png")
    found = hardest_pairs(after, held.labels, count=8)
    sheet = plots.hardest_pairs_sheet(held.images, found, labels=held.labels)
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
    for chosen in STEPS:
        draw(chosen)
