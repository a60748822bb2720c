"""All three margins in one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metricface.classifiers.arcface import check_angle, sine
from metricface.classifiers.bounds import check_cosine_margin
from metricface.classifiers.classifier import Classifier, ClassifierReduction
from metricface.given import above_zero


class CombinedMargin(Classifier):
    """Target logit ``s (cos(m1 θ_y + m2) − m3)``, the others ``s cos θ_j``.

    ``(1, m, 0)`` is :class:`ArcFace`, ``(1, 0, m)`` is :class:`CosFace`, ``(1, 0, 0)`` is
    :class:`NormFace`. The paper's two combinations are ``(1, 0.3, 0.2)`` and
    ``(0.9, 0.4, 0.15)``.

    Args:
        num_classes: C.
        dim: D.
        scale: s. At least ``min_scale(C, 0.5)``.
        m1: multiplies the angle, above 0.
        m2: is added to it, 0 to π/2 radians.
        m3: is taken from the cosine, 0 to ``max_margin(C, D)``.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a scale or margin out of range, an unknown
            reduction.

    Example:
        >>> CombinedMargin(10, 8, m1=0.9, m2=0.4, m3=0.15).target_logit(torch.tensor([0.0]))
        tensor([0.7711])

    Reference: Deng et al., "ArcFace", CVPR 2019, eq. 4.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        m1: float = 1.0,
        m2: float = 0.3,
        m3: float = 0.2,
        *,
        scale: float = 64.0,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = above_zero("scale", scale)
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        self.margins = (
            above_zero("m1", m1),
            check_angle("m2", m2),
            check_cosine_margin(m3, self.num_classes, self.dim, name="m3"),
        )

    def target(self, cosine: Tensor) -> Tensor:
        """``cos(m1 θ + m2) − m3``, monotone."""
        return combined_target(cosine, *self.margins)


def combined_target(cosine: Tensor, m1: float, m2: float, m3: float) -> Tensor:
    """``cos(m1 θ + m2) − m3`` from cos θ, kept falling where it would rise again.

    Past ``θ* = (π − m2)/m1`` it is ``cos θ − max(m2 sin m2, 1 + cos θ*) − m3``: for m1 = 1
    ArcFace's continuation, and never above the −1 − m3 that was reached.

    Args:
        cosine: between −1 and 1, any shape.
        m1: multiplies the angle.
        m2: is added to it, in radians.
        m3: is taken from the cosine.

    Returns:
        The same shape.

    Example:
        >>> combined_target(torch.tensor([1.0]), 1.0, 0.0, 0.25)
        tensor([0.7500])
    """
    if m1 == 1:
        turned = cosine * math.cos(m2) - sine(cosine) * math.sin(m2)
    else:
        turned = torch.cos(m1 * torch.atan2(sine(cosine), cosine) + m2)
    if (math.pi - m2) / m1 < math.pi or m1 == 1:
        last = math.cos((math.pi - m2) / m1)
        beyond = cosine - max(m2 * math.sin(m2), 1 + last)
        turned = torch.where(cosine >= last, turned, beyond)
    return turned - m3
