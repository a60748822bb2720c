"""Softmax with and without normalised weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.classifiers.classifier import (
    Classifier,
    ClassifierReduction,
    Products,
    softplus,
)
from metricface.classifiers.target_and_rest import target_and_rest
from metricface.types import Labels


class Softmax(Classifier):
    """Softmax cross-entropy over ``w_j·x + b_j``: the baseline every margin is measured against.

    Args:
        num_classes: C.
        dim: D.
        bias: whether there is a b.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, an unknown reduction.

    Example:
        >>> Softmax(10, 8).logits(torch.zeros(2, 8)).shape
        torch.Size([2, 10])
    """

    unit_weight = False

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        bias: bool = True,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        super().__init__(num_classes, dim, scale=None, reduction=reduction)
        self.bias = nn.Parameter(torch.zeros(num_classes)) if bias else None

    def products(
        self, queries: Tensor, classes: Tensor, parameters: Mapping[str, Tensor]
    ) -> Products:
        """As the others', with the bias as one dimension more in which all queries are 1."""
        weight = parameters["weight"].to(queries.dtype)
        if "bias" in parameters:
            bias = parameters["bias"].to(queries.dtype)
            weight = torch.cat([weight, bias[:, None]], 1)
            queries = torch.cat([queries, torch.ones_like(queries[:, :1])], 1)
        return Products(*target_and_rest(queries, weight, classes, unit_weight=False), None)

    def terms(self, x: Tensor, products: Products) -> Tensor:
        """Cross-entropy of the logits as they are."""
        return softplus(products.rest - products.target)

    def by_class(self) -> dict[str, Tensor]:
        """Weight and bias."""
        return super().by_class() | ({} if self.bias is None else {"bias": self.bias})

    def start_values(self) -> dict[str, float]:
        """The bias begins at 0."""
        return {} if self.bias is None else {"bias": 0.0}

    def logits(self, embeddings: Tensor) -> Tensor:
        """``w_j·x + b_j`` of all classes, ``[B, C]``."""
        return self._all(self.lifted(embeddings))

    def forward(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The loss of one batch; see :meth:`Classifier.forward`."""
        x, classes = self.checked(embeddings, labels)
        return self.reduced(F.cross_entropy(self._all(x), classes, reduction="none"))

    def _all(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias).to(x.dtype)


class ModifiedSoftmax(Classifier):
    """Softmax with unit class weights and no bias: ``‖x‖ cos θ_j``, so that only angles decide.

    Args:
        num_classes: C.
        dim: D.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, an unknown reduction.

    Example:
        >>> classifier = ModifiedSoftmax(2, 2)
        >>> _ = classifier.weight.data.copy_(torch.tensor([[5.0, 0.0], [0.0, 0.1]]))
        >>> classifier.logits(torch.tensor([[3.0, 4.0]]))[0].tolist()
        [3.0, 4.0]

    Reference: Liu et al., "SphereFace", CVPR 2017, eq. 4.
    """

    def __init__(
        self, num_classes: int, dim: int, *, reduction: ClassifierReduction = "mean"
    ) -> None:
        super().__init__(num_classes, dim, scale=None, reduction=reduction)
