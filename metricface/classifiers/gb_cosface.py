"""GB-CosFace: one boundary for all samples."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from metricface.classifiers.bounds import check_cosine_margin
from metricface.classifiers.classifier import (
    Classifier,
    ClassifierReduction,
    Products,
    softplus,
)
from metricface.given import above_zero, as_number, as_pair, as_share
from metricface.torch_func import remember


class GBCosFace(Classifier):
    """CosFace in which every sample is drawn towards one global boundary between same and other.

    Softmax compares the target's cosine with the others' of the *same* sample; verification uses
    one threshold for all. With ``p_y = cos θ_y`` and ``p_n = log Σ_{j≠y} exp(s cos θ_j) / s``,
    each sample's own boundary ``v = (p_y + p_n)/2`` is moved part of the way to the global one,
    ``b = v + α (p_v − v)``, both without gradient, and

    ``L = ½ log(1 + exp(2s (b − p_y + m))) + ½ log(1 + exp(2s (p_n − b + m)))``.

    In training mode ``p_v ← (1 − γ) clamp(p_v) + γ mean(v)`` after each pass, the mean over all
    processes where torch.distributed runs. It begins as the first batch's mean, stands in
    ``state_dict`` as ``boundary``, and is NaN before. α = 0 is :class:`CosFace` with margin 2m.

    Args:
        num_classes: C.
        dim: D.
        scale: s; 32 in the official code. At least ``min_scale(C, 0.5)``.
        margin: m, half of what CosFace would call it; 0.16 in the official code. 0 to
            ``max_margin(C, D) / 2``.
        alpha: how far towards the global boundary, 0 to 1.
        gamma: weight of the new value in the global boundary, 0 to 1.
        boundary_range: what p_v is clamped to. The official code's suits many classes: p_n
            carries an offset of about ``log(C − 1)/s``, and v half of it.
        reduction: over the batch.

    Raises:
        ValueError: a setting out of its range.

    Example:
        >>> classifier = GBCosFace(100, 8)
        >>> loss = classifier(torch.ones(4, 8), [0, 1, 2, 3])
        >>> bool(classifier.boundary.isfinite())
        True

    Reference: Chen et al., "GB-CosFace: Rethinking Softmax-based Face Recognition from the
    Perspective of Open Set Classification", 2021; details as in the official code.
    """

    boundary: Tensor

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 32.0,
        margin: float = 0.16,
        alpha: float = 0.15,
        gamma: float = 0.01,
        boundary_range: tuple[float, float] = (0.5, 0.7),
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = above_zero("scale", scale)
        super().__init__(num_classes, dim, scale=scale, reduction=reduction)
        self.margin = as_number("margin", margin)
        check_cosine_margin(2 * self.margin, self.num_classes, self.dim, name="twice the margin")
        self.alpha = as_share("alpha", alpha)
        self.gamma = as_share("gamma", gamma)
        ends = as_pair("boundary_range", boundary_range)
        low, high = (as_number("each of boundary_range", end) for end in ends)
        if not low <= high:
            raise ValueError(f"boundary_range must rise, got {boundary_range}")
        self.boundary_range = low, high
        self.register_buffer("boundary", torch.tensor(torch.nan))

    def target(self, cosine: Tensor) -> Tensor:
        """``cos θ − 2m``: what is asked at α = 0, or of a sample that sits at the boundary."""
        return cosine - 2 * self.margin

    def start_values(self) -> dict[str, float]:
        """No boundary is known before the first batch."""
        return {"boundary": torch.nan}

    def terms(self, x: Tensor, products: Products) -> Tensor:
        """The loss of each row; in training mode the boundary moves afterwards."""
        if self.num_classes == 1:  # without another class there is no boundary
            return 0 * products.target
        scale = self.lengths(x)
        own, other = products.target / scale, products.rest / scale
        middle = ((own + other) / 2).detach()
        shared, mean = self._shared_boundary(middle)
        boundary = middle + self.alpha * (shared - middle)
        if self.training:
            remember(self.boundary, torch.lerp(shared, mean, self.gamma))
        positive = softplus(2 * scale * (boundary - own + self.margin))
        negative = softplus(2 * scale * (other - boundary + self.margin))
        return (positive + negative) / 2

    def _shared_boundary(self, middle: Tensor) -> tuple[Tensor, Tensor]:
        """The global boundary to use, and the mean over the batch of all processes."""
        total = torch.stack([middle.sum(), middle.new_full((), len(middle))])
        if self.training and distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(total)
        known = self.boundary.to(total.dtype)
        mean = total[0] / total[1]
        shared = torch.where(known.isnan(), mean, known).clamp(*self.boundary_range)
        return shared, torch.where(total[1] > 0, mean, shared)
