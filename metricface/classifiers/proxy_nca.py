"""Proxy-NCA and Proxy-NCA++: a softmax over squared distances to proxies."""

from __future__ import annotations

from torch import Tensor

from metricface.classifiers.bounds import check_scale
from metricface.classifiers.classifier import Classifier, ClassifierReduction, Products
from metricface.given import above_zero


class ProxyNCA(Classifier):
    """Cross-entropy over ``−‖x̂ − ŵ_j‖² / T`` of unit embeddings and unit proxies ŵ_j.

    ``‖x̂ − ŵ_j‖² = 2 − 2 cos θ_j``, and what all classes have in common drops out of a softmax: it
    is :class:`NormFace` with ``s = 2/T``, 18 at the T of Proxy-NCA++.

    With ``own_proxy=False`` the sum leaves out the own proxy, as the first paper printed it:

    ``log Σ_{j≠y} exp(−‖x̂ − ŵ_j‖² / T) + ‖x̂ − ŵ_y‖² / T``.

    That can be below 0, and it never stops pulling. Its paper has T = 1. Both papers train the
    proxies at a higher learning rate than the network.

    Args:
        num_classes: C.
        dim: D.
        temperature: T, above 0. With the own proxy, ``2/T`` is at least ``min_scale(C, 0.5)``.
        own_proxy: whether the own proxy is in the sum: True for Proxy-NCA++, False for Proxy-NCA.
        reduction: over the batch.

    Raises:
        ValueError: no classes or dimensions, a temperature too high for so many classes, an
            unknown reduction.

    Example:
        >>> ProxyNCA(10, 8).scale
        18.0

    Reference: Movshovitz-Attias et al., "No Fuss Distance Metric Learning using Proxies", ICCV
    2017; Teh et al., "ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component
    Analysis", ECCV 2020.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        temperature: float = 1 / 9,
        own_proxy: bool = True,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        scale = 2 / above_zero("temperature", temperature)
        super().__init__(num_classes, dim, scale=None, reduction=reduction)
        # Without the own proxy there is no probability that a small scale could keep low.
        self.scale = check_scale(scale, self.num_classes) if own_proxy else scale
        self.own_proxy = own_proxy

    def terms(self, x: Tensor, products: Products) -> Tensor:
        """The loss of each row, ``[B]``."""
        if self.own_proxy:
            return super().terms(x, products)
        if self.num_classes == 1:  # without another proxy there is nothing to be nearer than
            return 0 * products.target
        return products.rest - products.target
