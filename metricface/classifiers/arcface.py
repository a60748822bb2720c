"""ArcFace: a margin on the angle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metricface.classifiers.classifier import Classifier, ClassifierReduction
from metricface.given import above_zero, as_number


class ArcFace(Classifier):
    """Additive angular margin: target logit ``s cos(θ_y + m)``, the others ``s cos θ_j``.

    ``margin=0`` is :class:`NormFace`. Past ``θ = π − m``, where ``cos(θ + m)`` would rise again,
    see :func:`arcface_target`.

    Args:
        num_classes: C.
        dim: D.
        scale: s; 64 in the paper. At least ``min_scale(C, 0.5)``.
        margin: m in radians, 0 to π/2; 0.5 in the paper.
        easy_margin: a margin only for embeddings within 90° of their class.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a scale or margin out of range, an unknown
            reduction.

    Example:
        >>> round(float(ArcFace(10, 8).target_logit(torch.tensor(1.0))), 4)  # cos 1.5
        0.0707

    Reference: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
    CVPR 2019.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 64.0,
        margin: float = 0.5,
        easy_margin: bool = False,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = above_zero("scale", scale)
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        self.margin = check_angle("margin", margin)
        self.easy_margin = easy_margin

    def target(self, cosine: Tensor) -> Tensor:
        """``cos(θ + m)``, monotone."""
        return arcface_target(cosine, self.margin, easy=self.easy_margin)


def arcface_target(cosine: Tensor, margin: float, *, easy: bool = False) -> Tensor:
    """``cos(θ + m)`` from cos θ, kept falling where it would rise again.

    ============  ====================================  =====================
    ``easy``      the margin holds                      beyond
    ============  ====================================  =====================
    False         up to ``θ = π − m``                   ``cos θ − m sin m``
    True          up to ``θ = π/2``                     ``cos θ``
    ============  ====================================  =====================

    The first jumps at the switch from −1 down to ``−cos m − m sin m`` (−1.117 at m = 0.5), as
    older revisions of the official code did; the second jumps up from ``−sin m`` to 0.

    Args:
        cosine: between −1 and 1, any shape.
        margin: m in radians.
        easy: the second form.

    Returns:
        The same shape.

    Example:
        >>> arcface_target(torch.tensor([1.0, -1.0]), math.pi / 3)
        tensor([ 0.5000, -1.9069])

    Reference: Deng et al., "ArcFace", CVPR 2019, eq. 3; older revisions of the
    official code for what is beyond.
    """
    turned = cosine * math.cos(margin) - sine(cosine) * math.sin(margin)
    if easy:
        return torch.where(cosine > 0, turned, cosine)
    return torch.where(cosine >= -math.cos(margin), turned, cosine - margin * math.sin(margin))


def sine(cosine: Tensor) -> Tensor:
    """``√(1 − cos²)`` with gradient 0, not infinity, at cos = ±1.

    Example:
        >>> sine(torch.tensor([1.0, 0.0]))
        tensor([0., 1.])
    """
    squared = 1 - cosine * cosine
    inside = squared > 0
    return torch.where(inside, squared, 1.0).sqrt() * inside


def check_angle(name: str, margin: float) -> float:
    """The margin; raises unless it is one on the angle, in radians.

    Example:
        >>> check_angle("margin", 28.6)
        Traceback (most recent call last):
        ...
        ValueError: margin must be an angle between 0 and π/2 radians, got 28.6
    """
    margin = as_number(name, margin)
    if not 0 <= margin <= math.pi / 2:
        raise ValueError(f"{name} must be an angle between 0 and π/2 radians, got {margin}")
    return margin
