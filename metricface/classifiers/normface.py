"""NormFace: cosines and a scale, no margin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.classifiers.classifier import Classifier, ClassifierReduction
from metricface.given import above_zero


class NormFace(Classifier):
    """Softmax cross-entropy over ``s cos θ_j``, embeddings and weights of length 1.

    Without the scale it does not train: cosines between −1 and 1 leave even perfectly separated
    classes a loss far above 0 (:func:`~metricface.classifiers.min_loss`).

    Args:
        num_classes: C.
        dim: D.
        scale: s; 20 to 30 in the paper. At least ``min_scale(C, 0.5)``.
        learn_scale: train s, from this value on.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a scale too small for so many classes, an unknown
            reduction.

    Example:
        >>> NormFace(10, 8, scale=20, learn_scale=True).scale
        Parameter containing:
        tensor(20., requires_grad=True)

    Reference: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", ACM
    Multimedia 2017.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 30.0,
        learn_scale: bool = False,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = above_zero("scale", scale)
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        if learn_scale:
            del self.scale
            self.initial_scale = scale
            self.scale = nn.Parameter(torch.tensor(scale))

    def start_values(self) -> dict[str, float]:
        """A learned scale begins where it was set."""
        return {"scale": self.initial_scale} if isinstance(self.scale, Tensor) else {}
