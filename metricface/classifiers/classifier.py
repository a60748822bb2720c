"""What all classifiers share: weights, normalisation, scale, cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.classifiers.bounds import check_scale
from metricface.classifiers.class_numbers import class_numbers
from metricface.classifiers.target_and_rest import target_and_rest
from metricface.distances.unit_rows import row_lengths, unit_rows
from metricface.embeddings import check_embeddings, working_dtype
from metricface.given import as_count
from metricface.types import Labels

ClassifierReduction: TypeAlias = Literal["mean", "sum", "none"]


class Products(NamedTuple):
    """What a loss needs to know of the class weights: a few numbers for each row, each ``[B]``."""

    target: Tensor
    """The logit of the row's own class."""
    rest: Tensor
    """The log-sum-exp of its logits for all other classes."""
    length: Tensor | None
    """‖w_y‖, where the members of the family let it count."""


class Classifier(nn.Module):
    """Softmax cross-entropy over class weights, with a target logit of the member's own.

    With θ_j the angle between an embedding and the weight of class j, the loss of a sample is

    ``log(1 + Σ_{j≠y} exp(a_j cos θ_j) / exp(a_y t(θ_y)))``

    where t is :meth:`target`, and the length ``a_j`` is the scale s,
    or ‖x‖, or ‖x‖‖w_j‖, as the member normalises.

    Parameters stay in their own dtype; under autocast the products run in its precision, the
    margin and the cross-entropy in float32. The loss of an empty batch is 0.

    Args:
        num_classes: C.
        dim: D.
        scale: s, what unit embeddings are multiplied by; None leaves embeddings their length.
        reduction: over the batch.
    """

    #: Whether class weights count with length 1.
    unit_weight: ClassVar[bool] = True

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float | None,
        reduction: ClassifierReduction,
    ) -> None:
        super().__init__()
        self.num_classes = as_count("num_classes", num_classes)
        self.dim = as_count("dim", dim)
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be one of mean, sum, none, got {reduction!r}")
        self.scale: float | Tensor | None = (
            None if scale is None else check_scale(scale, self.num_classes)
        )
        self.reduction = reduction
        # Rows of length about 1, so that the logits of plain softmax start at O(1).
        self.weight = nn.Parameter(torch.randn(self.num_classes, self.dim) * self.dim**-0.5)

    def target(self, cosine: Tensor) -> Tensor:
        """What takes the place of ``cos θ`` for the sample's own class; itself without a margin."""
        return cosine

    def row_target(self, cosine: Tensor, x: Tensor) -> Tensor:
        """:meth:`target` for the rows of one batch, ``[B]``; a member may look at them, ``x``."""
        return self.target(cosine)

    def target_logit(self, theta: Tensor) -> Tensor:
        """The target logit at an angle, without its length: what the papers draw.

        Args:
            theta: between 0 and π, any shape.

        Returns:
            The same shape; a falling function.

        Example:
            >>> from metricface.classifiers import CosFace
            >>> CosFace(3, 8, margin=0.2).target_logit(torch.tensor([0.0]))
            tensor([0.8000])
        """
        return self.target(torch.cos(theta))

    def forward(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The loss of one batch.

        Args:
            embeddings: ``[B, D]``; half precision is lifted to float32.
            labels: class numbers ``[B]``, 0 to C − 1.

        Returns:
            A scalar, or ``[B]`` for ``reduction="none"``.

        Raises:
            TypeError: embeddings that are not floating point, labels that are not integers.
            ValueError: shapes that do not agree; a label out of range; NaN or infinity.
        """
        x, classes = self.checked(embeddings, labels)
        products = self.products(self.queries(x), classes, self.by_class())
        return self.reduced(self.terms(x, products))

    def logits(self, embeddings: Tensor) -> Tensor:
        """The logits of all classes, without a margin: what to classify by.

        Args:
            embeddings: ``[B, D]``.

        Returns:
            ``[B, C]``, float32 (float64 for float64 inputs).

        Raises:
            TypeError: embeddings that are not floating point.
            ValueError: another dimension; NaN or infinity.
        """
        x = self.lifted(embeddings)
        weight = self.weight.to(x.dtype)
        product = F.linear(self.queries(x), weight).to(x.dtype)
        return product / row_lengths(weight).squeeze(1) if self.unit_weight else product

    def queries(self, x: Tensor) -> Tensor:
        """What is multiplied with the class weights, ``[B, D]``."""
        return x if self.scale is None else unit_rows(x) * self.scale

    def products(
        self, queries: Tensor, classes: Tensor, parameters: Mapping[str, Tensor]
    ) -> Products:
        """The dense step, the only one that looks at class weights.

        Args:
            queries: ``[B, D]``.
            classes: int64 ``[B]``, rows of the parameters.
            parameters: those of :meth:`by_class`, of all classes or of some.
        """
        weight = parameters["weight"].to(queries.dtype)
        target, rest = target_and_rest(queries, weight, classes, unit_weight=self.unit_weight)
        length = None
        if self.scale is None and not self.unit_weight:
            length = row_lengths(weight[classes]).squeeze(1)
        return Products(target, rest, length)

    def terms(self, x: Tensor, products: Products) -> Tensor:
        """The loss of each row, ``[B]``; in training mode once for each batch."""
        length = self.lengths(x, products.length)
        return softplus(products.rest - length * self.row_target(products.target / length, x))

    def by_class(self) -> dict[str, Tensor]:
        """The parameters that have a row for each class."""
        return {"weight": self.weight}

    def start_values(self) -> dict[str, float]:
        """The number that each parameter and buffer beside ``weight`` is filled with at first."""
        return {}

    def lengths(self, x: Tensor, of_weight: Tensor | None = None) -> Tensor | float:
        """What makes the target's logit of its cosine: a number, or one for each row, ``[B]``."""
        if self.scale is not None:
            return self.scale
        length = row_lengths(x).squeeze(1)
        if of_weight is not None:
            length = length * of_weight
        return length.clamp_min(torch.finfo(x.dtype).tiny)  # dividing by less could overflow

    def lifted(self, embeddings: Tensor) -> Tensor:
        """Embeddings in the dtype to compute in, checked."""
        check_embeddings(embeddings)
        if embeddings.shape[1] != self.dim:
            raise ValueError(
                f"the classifier is for embeddings of dimension {self.dim}, "
                f"got {embeddings.shape[1]}"
            )
        return embeddings.to(working_dtype(embeddings, self.weight))

    def checked(self, embeddings: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        """Embeddings as :meth:`lifted` and labels as int64 class numbers."""
        x = self.lifted(embeddings)
        return x, class_numbers(labels, self.num_classes, x)

    def reduced(self, terms: Tensor) -> Tensor:
        """One value per sample as the reduction wants it."""
        if self.reduction == "none":
            return terms
        return terms.sum() / (max(len(terms), 1) if self.reduction == "mean" else 1)

    def extra_repr(self) -> str:
        """What is printed of the settings."""
        return f"num_classes={self.num_classes}, dim={self.dim}"


def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp x)``, exact in float64 too: torch's default bends to x at 20 already.

    Example:
        >>> softplus(torch.tensor([0.0, 1000.0])).tolist()
        [0.6931471824645996, 1000.0]
    """
    return F.softplus(x, threshold=40)
