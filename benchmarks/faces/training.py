"""The training of a run: a margin head, and triplets after it if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR

from benchmarks.faces.sources import Images
from metricface.classifiers import (
    AdaFace,
    ArcFace,
    ASoftmax,
    CosFace,
    NormFace,
    Softmax,
)
from metricface.data import random_flip
from metricface.recipes import Options, fit, softmax_then_triplet
from metricface.samplers import PKSampler

HEADS = {
    "softmax": Softmax,
    "normface": NormFace,
    "sphereface": ASoftmax,
    "cosface": CosFace,
    "arcface": ArcFace,
    "adaface": AdaFace,
}
SCALED = ("normface", "cosface", "arcface", "adaface")
MILESTONES = (0.5, 0.7, 0.9)
"""Parts of the steps after which SGD's rate falls to a tenth."""


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Attributes:
        head: of :data:`HEADS`.
        steps: with the head.
        triplet_steps: after it, with semi-hard triplets; 0 leaves them out.
        p: identities per batch.
        k: images of each.
        scale: of a head on the sphere; None is the head's own.
        lr: of the head's stage; the triplets' is a tenth.
        sgd: SGD with momentum 0.9, weight decay 5e-4 and three falls rather than Adam.
        ema: decay of the moving average of the weights, or None.
        amp: autocast to bfloat16.
        every: steps between checkpoints.
        workers: processes that decode.
        seed: of everything random.
        device: where the network is.
    """

    head: str = "cosface"
    steps: int = 300
    triplet_steps: int = 0
    p: int = 16
    k: int = 4
    scale: float | None = None
    lr: float = 1e-3
    sgd: bool = False
    ema: float | None = None
    amp: bool = False
    every: int = 100
    workers: int = 0
    seed: int = 0
    device: str = "cpu"

    def options(self, steps: int, lr: float) -> Options:
        """Of a stage."""
        falls = partial(MultiStepLR, milestones=[round(part * steps) for part in MILESTONES])
        return Options(
            lr=lr,
            optimizer=partial(SGD, momentum=0.9, weight_decay=5e-4) if self.sgd else None,
            schedule=falls if self.sgd else None,
            ema=self.ema,
            amp=torch.bfloat16 if self.amp else None,
            augment=mirrored,
            evaluate_every=self.every,
            workers=self.workers,
            seed=self.seed,
            device=self.device,
            progress=False,
        )


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """The papers' augmentation: left for right, at random."""
    return random_flip(images, generator=generator)


def train(network: nn.Module, people: Images, plan: Plan, folder: Path, dim: int) -> nn.Module:
    """Train, or go on, or take what a finished training left in the folder.

    Args:
        network: gives embeddings.
        people: the images.
        plan: how.
        folder: of the checkpoints.
        dim: length of the embeddings.
    """
    made = HEADS[plan.head]
    scaled = plan.scale is not None and plan.head in SCALED
    head = partial(made, scale=plan.scale) if scaled else made
    sampler = PKSampler(people.labels, p=plan.p, k=plan.k, seed=plan.seed)
    first = plan.options(plan.steps, plan.lr)
    if plan.triplet_steps:
        return softmax_then_triplet(
            network,
            people,
            sampler=sampler,
            steps=(plan.steps, plan.triplet_steps),
            head=head,
            folder=folder,
            options=first,
            triplet_options=plan.options(plan.triplet_steps, plan.lr / 10),
        ).model
    torch.manual_seed(plan.seed)
    loss = head(len(np.unique(people.labels)), dim)
    return fit(
        network,
        people,
        loss,
        sampler=sampler,
        steps=plan.steps,
        folder=folder,
        options=first,
    ).model
