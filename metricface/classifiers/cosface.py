"""CosFace, also known as AM-Softmax: a margin on the cosine."""

from __future__ import annotations

from torch import Tensor

from metricface.classifiers.bounds import check_cosine_margin
from metricface.classifiers.classifier import Classifier, ClassifierReduction
from metricface.given import above_zero


class CosFace(Classifier):
    """Large margin cosine loss: target logit ``s (cos θ_y − m)``, the others ``s cos θ_j``.

    ``margin=0`` is :class:`NormFace`.

    Args:
        num_classes: C.
        dim: D.
        scale: s; 64 in the paper. At least ``min_scale(C, 0.5)``.
        margin: m; 0.35 in the paper. 0 to ``max_margin(C, D)``, which is small for many classes
            on a plane.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a scale or margin out of range, an unknown
            reduction.

    Example:
        >>> import torch
        >>> classifier = CosFace(10, 8)
        >>> loss = classifier(torch.eye(8), [0, 1, 2, 3, 4, 5, 6, 9])
        >>> loss.backward()
        >>> classifier.weight.grad.shape
        torch.Size([10, 8])

    Reference: Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR
    2018.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 64.0,
        margin: float = 0.35,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = above_zero("scale", scale)
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        self.margin = check_cosine_margin(margin, self.num_classes, self.dim)

    def target(self, cosine: Tensor) -> Tensor:
        """``cos θ − m``."""
        return cosine - self.margin


class AMSoftmax(CosFace):
    """:class:`CosFace` under its other name, with that paper's scale of 30.

    Args:
        num_classes: C.
        dim: D.
        scale: s.
        margin: m.
        reduction: over the batch.

    Raises:
        ValueError: as for :class:`CosFace`.

    Example:
        >>> AMSoftmax(10, 8).scale
        30.0

    Reference: Wang et al., "Additive Margin Softmax for Face Verification", IEEE Signal
    Processing Letters 2018.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 30.0,
        margin: float = 0.35,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        super().__init__(num_classes, dim, scale=scale, margin=margin, reduction=reduction)
