"""Formulas of libraries that are not installed here, as their files write them, in few lines.

Each is made as theirs is, and called with embeddings, labels and class weights, where it has any.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Head = Callable[[Tensor, Tensor, Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


class HardTripletsMiner:
    """Of open-metric-learning: for each anchor its farthest positive and nearest negative."""


def triplet_loss_with_miner(margin: float | None, miner: HardTripletsMiner | None = None) -> Loss:
    """open-metric-learning, losses/triplet.py: the mean over triplets; margin None is log1p."""

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        terms = []
        for near, far in _distances(x, labels):
            pairs = [(near.max(), far.min())] if miner else [(p, n) for p in near for n in far]
            for p, n in pairs:
                gap = p - n
                terms.append(gap.exp().log1p() if margin is None else (gap + margin).relu())
        return torch.stack(terms).mean()

    return loss


def batch_hard_triplet_loss(margin: float = 5) -> Loss:
    """sentence-transformers, losses/BatchHardTripletLoss.py: mean over the anchors."""

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        hardest = [near.max() - far.min() for near, far in _distances(x, labels)]
        return (torch.stack(hardest) + margin).relu().mean()

    return loss


def arc_face_loss(in_features: int, num_classes: int, m: float = 0.5, s: float = 64) -> Head:
    """open-metric-learning, losses/arcface.py: with the gradient, and straight beyond π − m."""

    def loss(x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        assert weight.shape == (num_classes, in_features)
        cosine = _cosines(x, weight)
        sine = (1 - cosine**2).sqrt()
        turned = cosine * math.cos(m) - sine * math.sin(m)
        turned = torch.where(cosine > -math.cos(m), turned, cosine - m * math.sin(m))
        own = F.one_hot(labels, num_classes).bool()
        return F.cross_entropy(s * torch.where(own, turned, cosine), labels)

    return loss


def combined_margin_loss(s: float, m1: float, m2: float, m3: float) -> Head:
    """insightface, arcface_torch/losses.py: one margin or the other, the angle without gradient."""

    def loss(x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        cosine = _cosines(x, weight)
        own = F.one_hot(labels, len(weight)).bool()
        if m1 == 1 and m3 == 0:
            shift = ((cosine.acos() + m2).cos() - cosine).detach()
        else:
            assert m3 > 0
            shift = torch.full_like(cosine, -m3)
        return F.cross_entropy(s * (cosine + shift * own), labels)

    return loss


def arc_face(feat_dim: int, num_class: int, s: float = 64, m: float = 0.5) -> Head:
    """OpenSphere, model/head/arcface.py: the angle, at most π, without gradient."""

    def loss(x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        assert weight.shape == (num_class, feat_dim)
        cosine = _cosines(x, weight)
        own = F.one_hot(labels, num_class).bool()
        shift = (cosine.acos() + m * own).clamp(max=math.pi).cos() - cosine
        return F.cross_entropy(s * (cosine + shift.detach()), labels)

    return loss


def sphere_face(feat_dim: int, num_class: int, s: float = 30, m: float = 1.5) -> Head:
    """OpenSphere, model/head/sphereface.py: ψ of the angle, without gradient."""

    def loss(x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        assert weight.shape == (num_class, feat_dim)
        cosine = _cosines(x, weight)
        angle = m * cosine.acos()
        turns = (angle / math.pi).floor()
        psi = (1 - 2 * (turns % 2)) * angle.cos() - 2 * turns
        own = F.one_hot(labels, num_class).bool()
        return F.cross_entropy(s * (cosine + ((psi - cosine) * own).detach()), labels)

    return loss


def _cosines(x: Tensor, weight: Tensor) -> Tensor:
    return F.normalize(x) @ F.normalize(weight).T


def _distances(x: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each anchor its distances to its positives and to its negatives."""
    found = []
    for a in range(len(x)):
        others = torch.arange(len(x)) != a
        same = labels == labels[a]
        d = (x - x[a]).square().sum(1)
        found.append((d[same & others].sqrt(), d[~same].sqrt()))
    return found
