"""COCO, the congenerous cosine loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.classifiers.bounds import min_scale
from metricface.classifiers.classifier import Classifier, ClassifierReduction, softplus
from metricface.classifiers.target_and_rest import target_and_rest
from metricface.distances.unit_rows import unit_rows
from metricface.torch_func import remember
from metricface.types import Labels


class COCO(Classifier):
    """Softmax cross-entropy over ``s cos(x, c_j)``, c_j the centroid of class j.

    =====================  ==================================================================
    ``centroids``          c_j
    =====================  ==================================================================
    ``"learned"``          parameters: the loss has the form of :class:`NormFace`
    ``"batch"``            the mean of the class's unit embeddings in the batch, through which
                           gradients flow; the softmax runs over the classes that are there
    =====================  ==================================================================

    With ``"batch"``, ``weight`` is not trained: in training mode it keeps each class's last mean,
    which is what :meth:`logits` compares with.

    Args:
        num_classes: C.
        dim: D.
        scale: s; ``min_scale(C, 0.99)`` if None. (The paper's own bound, ``½ log((C − 1)/ε)`` for
            a loss of ε, is smaller; we could not verify it.)
        centroids: the second or the first version of the loss.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a scale too small for so many classes, an unknown
            word for the centroids or the reduction.

    Example:
        >>> round(COCO(85_742, 8).scale, 1)
        16.0

    Reference: Liu et al., "Rethinking Feature Discrimination and Polymerization for Large-scale
    Recognition", 2017 (learned); "Learning Deep Features via Congenerous Cosine Loss for Person
    Recognition", 2017 (batch).
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float | None = None,
        centroids: Literal["learned", "batch"] = "learned",
        reduction: ClassifierReduction = "mean",
    ) -> None:
        if scale is None:
            scale = min_scale(num_classes, 0.99) or 1.0
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        if centroids not in ("learned", "batch"):
            raise ValueError(f"centroids must be 'learned' or 'batch', got {centroids!r}")
        self.centroids = centroids
        self.weight.requires_grad_(centroids == "learned")

    def forward(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The loss of one batch; see :meth:`Classifier.forward`."""
        if self.centroids == "learned":
            return super().forward(embeddings, labels)
        x, classes = self.checked(embeddings, labels)
        if not len(x):  # no class is there to compare with
            return self.reduced(x.sum(1))
        present, place = torch.unique(classes, return_inverse=True)
        means = class_means(unit_rows(x), place, len(present))
        if self.training:
            remember(self.weight, means, present)
        target, rest = target_and_rest(self.queries(x), means, place)
        return self.reduced(softplus(rest - target))


def class_means(x: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """The mean of the rows of each class, ``[C, D]``; 0 for a class without rows.

    Example:
        >>> class_means(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([1, 1, 0]), 2)
        tensor([[5.],
                [2.]])
    """
    total = x.new_zeros(num_classes, x.shape[1]).index_add(0, classes, x)
    # A bincount would make the host wait for an accelerator.
    count = total.new_zeros(num_classes).index_add(0, classes, total.new_ones(len(x)))
    return total / count.clamp_min(1)[:, None]
