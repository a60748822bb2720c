"""AdaFace: a margin that follows the length of the embedding."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.classifiers.arcface import check_angle, sine
from metricface.classifiers.classifier import Classifier, ClassifierReduction
from metricface.given import above_zero, as_share, zero_or_above
from metricface.torch_func import remember

SHORTEST, LONGEST = 0.001, 100.0
"""What lengths are clamped to."""


class AdaFace(Classifier):
    """Target logit ``s (cos(θ_y − m q) − m (1 + q))``, the others ``s cos θ_j``.

    q stands for the quality of the image, which the length of its embedding tells:

    ``q = clamp(h (‖x‖ − μ) / (σ + 0.001), −1, 1)``, without gradient,

    with ‖x‖ clamped to 0.001 … 100. It is :class:`CosFace` at mean length (q = 0) and
    :class:`ArcFace` of the same m at q = −1: hard samples count most where the image is good, and
    least where it is poor. ``θ_y − m q`` is kept within 0 … π; beyond, the curve is flat.

    μ and σ are running: each batch in training mode gives them the share α of its own mean and
    standard deviation, before they are used. They stand in ``state_dict`` as ``norm_mean`` and
    ``norm_std``, and begin at 20 and 100. Each process follows the rows it is given.

    Args:
        num_classes: C.
        dim: D.
        scale: s; 64 in the paper. At least ``min_scale(C, 0.5)``.
        margin: m, 0 to π/2; 0.4 in the paper.
        h: how much of q is in one standard deviation, 0 or above; 0.333 in the paper. With 0 it
            is :class:`CosFace`.
        alpha: α, weight of the new values, 0 to 1; 0.01 in the official code, where the paper
            prints 0.99.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a setting out of its range, an unknown reduction.

    Example:
        >>> cosine, quality = torch.ones(3), torch.tensor([-1.0, 0.0, 0.5])
        >>> AdaFace(10, 8).target(cosine, quality)  # cos 0.4; 1 − 0.4; 1 − 0.6
        tensor([0.9211, 0.6000, 0.4000])

    Reference: Kim et al., "AdaFace: Quality Adaptive Margin for Face Recognition", CVPR 2022;
    constants as in the official code, which also clamps all cosines to ±0.999.
    """

    norm_mean: Tensor
    norm_std: Tensor

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 64.0,
        margin: float = 0.4,
        h: float = 0.333,
        alpha: float = 0.01,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = above_zero("scale", scale)
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        self.margin = check_angle("margin", margin)
        self.h = zero_or_above("h", h)
        self.alpha = as_share("alpha", alpha)
        # Of one entry, not none: torch.compile (2.13) loses what is written to a float64 scalar.
        for name, value in self.start_values().items():
            self.register_buffer(name, torch.tensor([value]))

    def start_values(self) -> dict[str, float]:
        """Those of the official code."""
        return {"norm_mean": 20.0, "norm_std": 100.0}

    def target(self, cosine: Tensor, quality: Tensor | float = 0.0) -> Tensor:
        """``cos(θ − m q) − m (1 + q)``.

        Args:
            cosine: cos θ, any shape.
            quality: q from −1 to 1, a number or one for each; 0 is that of the mean length.
        """
        turn = torch.as_tensor(quality, dtype=cosine.dtype, device=cosine.device) * -self.margin
        turned = cosine * turn.cos() - sine(cosine) * turn.sin()
        end = -turn.sign()  # the cosine where θ + turn would leave 0 … π
        return torch.where(cosine * end > turn.cos(), end, turned) - (self.margin - turn)

    def row_target(self, cosine: Tensor, x: Tensor) -> Tensor:
        """:meth:`target` at the quality of each row; in training mode after μ and σ moved."""
        norms = torch.linalg.vector_norm(x.detach(), dim=1).clamp(SHORTEST, LONGEST)
        if self.training:
            self._follow(norms)
        mean, std = self.norm_mean.to(x.dtype), self.norm_std.to(x.dtype)
        quality = self.h * (norms - mean) / (std + 1e-3)
        return self.target(cosine, quality.clamp(-1, 1))

    def _follow(self, norms: Tensor) -> None:
        """Move the running mean and deviation towards those of a batch that has them."""
        if len(norms) > 0:
            mean = norms.mean().to(self.norm_mean)
            remember(self.norm_mean, torch.lerp(self.norm_mean, mean, self.alpha))
        if len(norms) > 1:
            std = norms.std().to(self.norm_std)
            remember(self.norm_std, torch.lerp(self.norm_std, std, self.alpha))
