"""L-Softmax and A-Softmax: margins that multiply the angle."""

from __future__ import annotations

from torch import Tensor

from metricface.classifiers.annealing import Annealing
from metricface.classifiers.classifier import Classifier, ClassifierReduction, Products
from metricface.classifiers.multiple_angle import psi
from metricface.given import arrived, as_count

L_SOFTMAX = Annealing(base=1000, gamma=2.5e-5, power=35, minimum=0)
A_SOFTMAX = Annealing(base=1000, gamma=0.12, power=1, minimum=5)
"""The schedules of the official code."""

LARGEST = 100
"""The largest margin; the papers go to 4."""


class LSoftmax(Classifier):
    """Large-margin softmax: target logit ``‖w_y‖‖x‖ ψ(θ_y)``, the others ``w_j·x``, no bias.

    ``margin=1`` is softmax without a bias. Each forward pass in training mode is one iteration
    of the annealing; its count is in ``state_dict``.

    Args:
        num_classes: C.
        dim: D.
        margin: m, a whole number from 1 to 100. The papers prove 2 + √3 enough for two classes
            and 3 for many, and train with 4.
        annealing: how the margin is phased in; None for all of it from the start, which seldom
            trains at m = 4. The default falls to 0; hard data wants a ``minimum`` of 5 to 10.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a margin out of range, an unknown reduction.
        TypeError: a margin that is not whole, an annealing that is none.

    Example:
        >>> import torch
        >>> LSoftmax(10, 8, margin=2, annealing=None).target_logit(torch.tensor([0.0, 3.1415926]))
        tensor([ 1., -3.])

    Reference: Liu et al., "Large-Margin Softmax Loss for Convolutional Neural Networks", ICML
    2016.
    """

    unit_weight = False

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        margin: int = 4,
        annealing: Annealing | None = L_SOFTMAX,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        super().__init__(num_classes, dim, scale=None, reduction=reduction)
        self.margin = as_count("margin", margin)
        if self.margin > LARGEST:  # ψ takes m steps, and its slope reaches m²
            raise ValueError(f"margin must be at most {LARGEST}, got {margin}")
        if annealing is not None and not isinstance(annealing, Annealing):
            raise TypeError(f"annealing must be an Annealing or None, got {arrived(annealing)}")
        self.annealing = annealing
        self.iteration = 0

    @property
    def annealed(self) -> float:
        """λ, the weight of the plain cosine beside the margin's, at this iteration."""
        return 0.0 if self.annealing is None else self.annealing.at(self.iteration)

    def target(self, cosine: Tensor) -> Tensor:
        """``(λ cos θ + ψ(θ)) / (1 + λ)``, with λ as it stands."""
        # As a difference it is exactly the cosine for m = 1.
        return cosine + (psi(cosine, self.margin) - cosine) / (1 + self.annealed)

    def terms(self, x: Tensor, products: Products) -> Tensor:
        """The loss of each row; in training mode one iteration."""
        if self.training:
            self.iteration += 1
        return super().terms(x, products)

    def get_extra_state(self) -> dict[str, int]:
        """The iteration count, for ``state_dict``."""
        return {"iteration": self.iteration}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on from the count of a ``state_dict``."""
        self.iteration = state["iteration"]


class ASoftmax(LSoftmax):
    """SphereFace: target logit ``‖x‖ ψ(θ_y)``, the others ``‖x‖ cos θ_j``; unit weights, no bias.

    ``margin=1`` is :class:`ModifiedSoftmax`. Each forward pass in training mode is one iteration
    of the annealing; its count is in ``state_dict``.

    Args:
        num_classes: C.
        dim: D.
        margin: m, a whole number from 1 to 100; 4 in the paper.
        annealing: how the margin is phased in; None for all of it from the start.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a margin out of range, an unknown reduction.
        TypeError: a margin that is not whole, an annealing that is none.

    Example:
        >>> import torch
        >>> ASoftmax(10, 8).annealed  # mostly softmax to begin with
        1000.0

    Reference: Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", CVPR
    2017; the annealing constants are the official code's.
    """

    unit_weight = True

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        margin: int = 4,
        annealing: Annealing | None = A_SOFTMAX,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        super().__init__(num_classes, dim, margin=margin, annealing=annealing, reduction=reduction)
