"""Draw what the batches of each sampler look like: ``python docs/figures/samplers.py``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from torch.utils.data import BatchSampler, RandomSampler

from metricface.samplers import GroupedPKSampler, HardIdentitySampler, PKSampler

GROUPS, EACH, P, K, BATCHES = 4, 8, 4, 4, 10
HUES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7"]  # Okabe and Ito: told apart by everyone
SIZES = np.maximum(2, 24 // (1 + np.arange(EACH))).tolist() * GROUPS
LABELS = np.repeat(np.arange(GROUPS * EACH), SIZES)


def shade(identity: int) -> tuple[float, ...]:
    """The hue of the group, lighter from one identity to the next."""
    group, place = divmod(identity, EACH)
    colour, light = np.array(to_rgb(HUES[group])), 0.75 * place / (EACH - 1)
    return tuple(colour + (1 - colour) * light)


def draw_data(axes: Axes) -> None:
    """Images per identity."""
    axes.bar(range(len(SIZES)), SIZES, color=[shade(i) for i in range(len(SIZES))], width=0.9)
    axes.set_title("The data: 32 identities in 4 groups", fontsize=9, loc="left")
    axes.set_xlabel("identity (next to its look-alikes)", fontsize=8)
    axes.set_ylabel("images", fontsize=8)
    axes.axhline(K, color="0.3", linewidth=0.8, linestyle=":")
    axes.text(31.6, K + 0.4, "k", fontsize=8, ha="right", color="0.3")
    axes.spines[["top", "right"]].set_visible(False)


def draw_batches(axes: Axes, title: str, batches: Iterable[list[int]]) -> None:
    """One row per batch, one cell per image; a dot where the image was shown before."""
    seen: set[int] = set()
    for row, batch in enumerate(islice(batches, BATCHES)):
        for column, image in enumerate(batch):
            cell = (column + 0.08 * (column // K), row)
            axes.add_patch(Rectangle(cell, 0.94, 0.9, color=shade(int(LABELS[image]))))
            if image in seen:
                axes.plot(cell[0] + 0.47, row + 0.45, ".", color="black", markersize=3)
            seen.add(image)
    if row + 1 < BATCHES:
        axes.text(0, row + 1.5, "end of the epoch", fontsize=8, color="0.3", va="center")
    axes.set(xlim=(-0.1, P * K + 0.4), ylim=(BATCHES, -0.1), yticks=[0.5, BATCHES - 0.5])
    axes.set_yticklabels(["1", str(BATCHES)], fontsize=8)
    axes.set_xticks([])
    axes.set_ylabel("batch", fontsize=8, labelpad=-6)
    axes.set_title(title, fontsize=9, loc="left")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def main() -> None:
    """Six panels: the data, plain shuffling, and each sampler."""
    everybody = np.arange(len(SIZES))
    distance = np.abs(everybody[:, None] - everybody) + 100 * (
        everybody[:, None] // EACH != everybody // EACH
    )
    alike = np.argsort(distance, axis=1, kind="stable")[:, 1:EACH]
    shuffled = RandomSampler(range(len(LABELS)), generator=torch.Generator().manual_seed(0))
    figure, panels = plt.subplots(2, 3, figsize=(11, 5.6), layout="constrained")
    draw_data(panels[0, 0])
    panels_of = [
        ("shuffle=True: hardly a genuine pair", BatchSampler(shuffled, P * K, drop_last=True)),
        ("PKSampler: every identity once", PKSampler(LABELS, P, K)),
        ('PKSampler, coverage="images"', PKSampler(LABELS, P, K, coverage="images")),
        ("HardIdentitySampler: look-alikes meet", HardIdentitySampler(LABELS, P, K, alike)),
        ("GroupedPKSampler: one group a batch", GroupedPKSampler(LABELS, P, K, LABELS // EACH)),
    ]
    for axes, (title, batches) in zip(panels.ravel()[1:], panels_of, strict=True):
        draw_batches(axes, title, batches)
    path = Path(__file__).with_suffix(".png")
    part = path.with_name(f"{path.stem}.part.png")
    figure.savefig(part, dpi=110, metadata={"Software": None})
    os.replace(part, path)


if __name__ == "__main__":
    main()
