"""Proxy-Anchor: each proxy against the whole batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.classifiers.classifier import Classifier, ClassifierReduction
from metricface.distances.unit_rows import unit_rows
from metricface.given import above_zero, as_share
from metricface.types import Labels


class ProxyAnchor(Classifier):
    """Each proxy is an anchor, and the batch its positives ``X⁺`` and negatives ``X⁻``.

    With ``cos θ_j`` between an embedding and proxy j of C, of which C⁺ have positives,

    ``L = 1/C⁺ Σ_j log(1 + Σ_{x∈X⁺_j} exp(−s (cos θ_j − m)))
    + 1/C Σ_j log(1 + Σ_{x∈X⁻_j} exp(s (cos θ_j + m)))``.

    It is no softmax over classes: rows of a batch share their pull, the hardest getting most of
    it, and one class alone is still drawn to its proxy. The paper trains the proxies at 100 times
    the learning rate of the network.

    Args:
        num_classes: C.
        dim: D.
        scale: s, above 0; the paper's α, 32.
        margin: m, 0 to 1; the paper's δ, 0.1.
        reduction: over the *classes*, whose mean is L: the term of class j is
            ``C/C⁺`` times its positive part and its negative part.

    Raises:
        ValueError: no classes or dimensions, a scale or margin out of range, an unknown
            reduction.

    Example:
        >>> classifier = ProxyAnchor(2, 2)
        >>> _ = classifier.weight.data.copy_(torch.eye(2))
        >>> round(float(classifier(torch.eye(2), [1, 0]).detach()), 3)  # 3.2 + 32 + 3.2
        38.44

    Reference: Kim et al., "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020, eq. 4.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scale: float = 32.0,
        margin: float = 0.1,
        reduction: ClassifierReduction = "mean",
    ) -> None:
        super().__init__(num_classes, dim, scale=None, reduction=reduction)
        self.scale: float = above_zero("scale", scale)
        self.margin = as_share("margin", margin)

    def target(self, cosine: Tensor) -> Tensor:
        """``cos θ − m``, what a positive is to raise; that of a negative is ``cos θ + m``."""
        return cosine - self.margin

    def forward(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The loss of one batch; see :meth:`Classifier.forward`.

        Unreduced it is ``[C]``, one term for each class.
        """
        x, classes = self.checked(embeddings, labels)
        product = F.linear(self.queries(x), unit_rows(self.weight.to(x.dtype))).to(x.dtype)
        positive = torch.zeros_like(product, dtype=torch.bool).scatter_(1, classes[:, None], True)
        slack = self.scale * self.margin
        pull = _log_one_and_sum((slack - product).masked_fill(~positive, -torch.inf))
        push = _log_one_and_sum((slack + product).masked_fill(positive, -torch.inf))
        present = positive.any(0).sum().clamp_min(1).to(x.dtype)
        return self.reduced(pull * (self.num_classes / present) + push)


def _log_one_and_sum(logits: Tensor) -> Tensor:
    """``log(1 + Σ exp)`` of each column; the 1 is a row of zeros."""
    return torch.logsumexp(F.pad(logits, (0, 0, 0, 1)), 0)
