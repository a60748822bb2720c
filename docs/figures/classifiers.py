"""Draw the two pictures margins are known for: ``python docs/figures/classifiers.py``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

from metricface.classifiers import (
    AdaFace,
    Annealing,
    ArcFace,
    ASoftmax,
    Classifier,
    CombinedMargin,
    CosFace,
    GBCosFace,
    NormFace,
    Softmax,
)
from metricface.losses import TripletLoss
from metricface.miners import SemiHardMiner
from metricface.plots import embedding_plane, target_logit_curves

FOLDER = Path(__file__).parent
DIGITS, STEPS = 10, 600
GENTLE = Annealing(base=100, gamma=0.5, power=1, minimum=0.3)
# Ten classes on a circle leave room for a margin of 0.19 on the cosine, so 0.15 is much.
HEADS: dict[str, Callable[[], nn.Module]] = {
    "softmax": lambda: Softmax(DIGITS, 2, bias=False),
    "A-Softmax, m = 1": lambda: ASoftmax(DIGITS, 2, margin=1, annealing=None),
    "A-Softmax, m = 2": lambda: ASoftmax(DIGITS, 2, margin=2, annealing=GENTLE),
    "A-Softmax, m = 3": lambda: ASoftmax(DIGITS, 2, margin=3, annealing=GENTLE),
    "A-Softmax, m = 4": lambda: ASoftmax(DIGITS, 2, margin=4, annealing=GENTLE),
    "CosFace, s = 20, m = 0.15": lambda: CosFace(DIGITS, 2, scale=20.0, margin=0.15),
    "ArcFace, s = 20, m = 0.2": lambda: ArcFace(DIGITS, 2, scale=20.0, margin=0.2),
    "triplet, any violator": lambda: TripletLoss(
        0.2, miner=SemiHardMiner(0.2, negative="random", include_hard=True)
    ),
}


def train(
    make: Callable[[], nn.Module], images: Tensor, labels: Tensor
) -> tuple[Tensor, nn.Module]:
    """Two-dimensional features of all images, and the head they were trained with."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(64, 128), nn.PReLU(), nn.Linear(128, 128), nn.PReLU(), nn.Linear(128, 2)
    )
    head = make()
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    draws = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        batch = torch.randint(len(images), (256,), generator=draws)
        optimizer.zero_grad()
        head(network(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return network(images), head


def planes() -> Figure:
    """Where each head puts scikit-learn's digits on the plane."""
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    figure, panels = plt.subplots(2, 4, figsize=(12, 6.4), layout="constrained")
    for ax, (name, make) in zip(panels.ravel(), HEADS.items(), strict=True):
        features, head = train(make, images, labels)
        centers = head.weight if isinstance(head, Classifier) else None
        # The three on the right of the second row see directions only.
        unit = name.startswith(("CosFace", "ArcFace", "triplet"))
        embedding_plane(features, labels, centers=centers, normalize=unit, ax=ax)
        ax.set_title(name, fontsize=10, loc="left")
        ax.tick_params(labelsize=7)
    return figure


class AdaFaceAt(AdaFace):
    """As it is for embeddings of one quality."""

    def __init__(self, quality: float) -> None:
        super().__init__(1000, 64)
        self.quality = quality

    def target_logit(self, theta: Tensor) -> Tensor:
        """The curve that is drawn."""
        return self.target(torch.cos(theta), self.quality)


def curves() -> Figure:
    """The target logits of the heads on one pair of axes."""
    whole = Annealing(base=5, gamma=0, power=1, minimum=5)
    heads: dict[str, Classifier] = {
        "softmax, NormFace": NormFace(1000, 64),
        "A-Softmax, m = 4": ASoftmax(1000, 64, annealing=None),
        "A-Softmax, m = 4, λ = 5": ASoftmax(1000, 64, annealing=whole),
        "CosFace, m = 0.35": CosFace(1000, 64),
        "ArcFace, m = 0.5": ArcFace(1000, 64),
        "ArcFace, easy margin": ArcFace(1000, 64, easy_margin=True),
        "combined 1, 0.3, 0.2": CombinedMargin(1000, 64, 1, 0.3, 0.2),
        "combined 0.9, 0.4, 0.15": CombinedMargin(1000, 64, 0.9, 0.4, 0.15),
        "GB-CosFace, m = 0.16": GBCosFace(1000, 64),
        "AdaFace, q = −1": AdaFaceAt(-1.0),
        "AdaFace, q = 1": AdaFaceAt(1.0),
    }
    figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
    target_logit_curves(heads, ax=ax).set_ylim(-3.2, 1.05)
    ax.axvspan(30, 90, color="0.5", alpha=0.1, linewidth=0)
    ax.annotate("training moves angles\nfrom 90° to 30°", (60, -3.1), ha="center", fontsize="small")
    return figure


def save(figure: Figure, name: str) -> None:
    """Write a picture whole or not at all."""
    part = FOLDER / f"{name}.part.png"
    figure.savefig(part, dpi=95, metadata={"Software": None})
    with Image.open(part) as drawn:  # looks the same in a third of the bytes
        drawn.convert("RGB").quantize(200, dither=Image.Dither.NONE).save(part, optimize=True)
    os.replace(part, FOLDER / f"{name}.png")


if __name__ == "__main__":
    save(curves(), "target_logit_curves")
    save(planes(), "embedding_planes")
