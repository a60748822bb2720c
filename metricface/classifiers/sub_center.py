"""SubCenterArcFace: several centres for a class, so that wrong labels gather at one of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.classifiers.arcface import ArcFace
from metricface.classifiers.class_numbers import class_numbers
from metricface.classifiers.classifier import ClassifierReduction
from metricface.distances.unit_rows import unit_rows
from metricface.given import as_count, as_number
from metricface.types import Labels

#: Rows whose sub-centres are gathered at a time.
_ROWS_AT_ONCE = 4096


class Cleaned(NamedTuple):
    """What is left without the sub-centres and samples that are likely wrong."""

    head: ArcFace
    """With the dominant sub-centre of each class."""
    keep: Tensor
    """Bool ``[B]``: which samples are near it."""


class SubCenterArcFace(ArcFace):
    """:class:`ArcFace` whose class j has K centres, of which the nearest counts.

    ``cos θ_j = max_k cos(x, w_jk)``, the target's as well as the others'. Where some labels of a
    class are wrong, or its images are of two kinds, one sub-centre becomes that of most samples
    and the rest goes to another, instead of pulling at the one centre there is.

    ``weight`` is ``[C, K, D]``. :meth:`own_cosines` tells which sub-centre a sample falls to;
    :meth:`cleaned` keeps the dominant ones and the samples near them, with which the paper trains
    again.

    Args:
        num_classes: C.
        dim: D.
        sub_centers: K, at least 1; 3 in the paper. ``1`` is :class:`ArcFace`.
        scale: s; 64 in the paper. At least ``min_scale(C, 0.5)``.
        margin: m in radians, 0 to π/2; 0.5 in the paper.
        easy_margin: as for :class:`ArcFace`.
        reduction: over the batch.

    Raises:
        ValueError: as for :class:`ArcFace`; no sub-centres.

    Example:
        >>> SubCenterArcFace(10, 8).weight.shape
        torch.Size([10, 3, 8])

    Reference: Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy
    Web Faces", ECCV 2020.
    """

    scale: float

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        sub_centers: int = 3,
        scale: float = 64.0,
        margin: float = 0.5,
        easy_margin: bool = False,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        super().__init__(
            num_classes,
            dim,
            scale=scale,
            margin=margin,
            easy_margin=easy_margin,
            reduction=reduction,
        )
        self.sub_centers = as_count("sub_centers", sub_centers)
        shape = self.num_classes, self.sub_centers, self.dim
        self.weight = nn.Parameter(torch.randn(shape) * self.dim**-0.5)

    def logits(self, embeddings: Tensor) -> Tensor:
        """``s cos θ_j`` of all classes, that of their nearest sub-centre, ``[B, C]``."""
        x = self.lifted(embeddings)
        centers = unit_rows(self.weight.to(x.dtype).flatten(0, 1))
        product = F.linear(self.queries(x), centers).to(x.dtype)
        return product.view(len(x), self.num_classes, self.sub_centers).amax(2)

    @torch.no_grad()
    def own_cosines(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The cosine of each sample with every sub-centre of its class, without gradient.

        ``own_cosines(x, labels).argmax(1)`` is the sub-centre it falls to.

        Args:
            embeddings: ``[B, D]``, some or a whole set.
            labels: class numbers ``[B]``.

        Returns:
            ``[B, K]``.

        Raises:
            TypeError: as for the loss.
            ValueError: as for the loss.

        Example:
            >>> classifier = SubCenterArcFace(1, 2, sub_centers=2)
            >>> _ = classifier.weight.data.copy_(torch.eye(2))
            >>> classifier.own_cosines(torch.tensor([[0.0, 2.0]]), [0])
            tensor([[0., 1.]])
        """
        x, classes = self.checked(embeddings, labels)
        cosines = x.new_empty(len(x), self.sub_centers)
        for start in range(0, len(x), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            near = self.weight[classes[some]].to(x.dtype)
            unit = unit_rows(near.flatten(0, 1)).view_as(near)
            cosines[some] = (unit * unit_rows(x[some])[:, None]).sum(2)
        return cosines

    @torch.no_grad()
    def cleaned(
        self, embeddings: Tensor, labels: Labels, *, max_angle: float = math.radians(75)
    ) -> Cleaned:
        """Drop all but the dominant sub-centre of each class, and samples far from it.

        The dominant sub-centre is the one that most samples of the class fall to: the first of
        several, and of a class without samples.

        Args:
            embeddings: of the training set ``[B, D]``.
            labels: class numbers ``[B]``.
            max_angle: how far from it a sample may be, in radians, 0 to π; 75° in the paper.

        Returns:
            An :class:`ArcFace` and which samples to train it with.

        Raises:
            TypeError: as for the loss.
            ValueError: as for the loss; an angle out of range.

        Example:
            >>> classifier = SubCenterArcFace(1, 2, sub_centers=2)
            >>> _ = classifier.weight.data.copy_(torch.eye(2))
            >>> x = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]])
            >>> head, keep = classifier.cleaned(x, [0, 0, 0])
            >>> head.weight.tolist(), keep.tolist()
            ([[1.0, 0.0]], [True, True, False])
        """
        if not 0 <= as_number("max_angle", max_angle) <= math.pi:
            raise ValueError(f"max_angle must be between 0 and π radians, got {max_angle}")
        cosines = self.own_cosines(embeddings, labels)
        classes = class_numbers(labels, self.num_classes, cosines)
        falls = F.one_hot(cosines.argmax(1), self.sub_centers)
        counts = falls.new_zeros(self.num_classes, self.sub_centers).index_add(0, classes, falls)
        dominant = counts.argmax(1)
        own = cosines.gather(1, dominant[classes][:, None]).squeeze(1)
        head = ArcFace(
            self.num_classes,
            self.dim,
            scale=self.scale,
            margin=self.margin,
            easy_margin=self.easy_margin,
            reduction=self.reduction,
        ).to(self.weight)
        head.weight.copy_(self.weight[torch.arange(len(dominant)), dominant])
        return Cleaned(head, own >= math.cos(max_angle))
