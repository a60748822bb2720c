"""Members of the family that are one another at a setting: value and gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from metricface.classifiers import (
    COCO,
    AdaFace,
    AMSoftmax,
    ArcFace,
    ASoftmax,
    Classifier,
    CombinedMargin,
    CosFace,
    GBCosFace,
    LSoftmax,
    ModifiedSoftmax,
    NormFace,
    ProxyAnchor,
    ProxyNCA,
    Softmax,
    SubCenterArcFace,
)
from tests.classifiers.weights import set_weight
from tests.layouts import draw_rows

C, D = 7, 5
SAME: dict[str, tuple[Classifier, Classifier]] = {
    "ArcFace m=0 = NormFace": (ArcFace(C, D, margin=0.0), NormFace(C, D, scale=64.0)),
    "CosFace m=0 = NormFace": (CosFace(C, D, margin=0.0), NormFace(C, D, scale=64.0)),
    "NormFace, learned scale": (NormFace(C, D, learn_scale=True), NormFace(C, D)),
    "AM-Softmax = CosFace": (AMSoftmax(C, D), CosFace(C, D, scale=30.0)),
    "A-Softmax m=1 = modified softmax": (ASoftmax(C, D, margin=1), ModifiedSoftmax(C, D)),
    "L-Softmax m=1 = softmax": (LSoftmax(C, D, margin=1), Softmax(C, D, bias=False)),
    "combined (1, m, 0) = ArcFace": (CombinedMargin(C, D, 1, 0.5, 0), ArcFace(C, D)),
    "combined (1, m, 0) = ArcFace, wide": (
        CombinedMargin(C, D, 1, 1.5, 0),
        ArcFace(C, D, margin=1.5),
    ),
    "combined (1, 0, m) = CosFace": (CombinedMargin(C, D, 1, 0, 0.35), CosFace(C, D)),
    "combined (1, 0, 0) = NormFace": (CombinedMargin(C, D, 1, 0, 0), NormFace(C, D, scale=64.0)),
    "GB-CosFace alpha=0 = CosFace 2m": (
        GBCosFace(C, D, margin=0.17, alpha=0.0, scale=40.0),
        CosFace(C, D, margin=0.34, scale=40.0),
    ),
    "COCO = NormFace": (COCO(C, D, scale=20.0), NormFace(C, D, scale=20.0)),
    "Proxy-NCA++ = NormFace": (ProxyNCA(C, D), NormFace(C, D, scale=18.0)),
    "one sub-center = ArcFace": (SubCenterArcFace(C, D, sub_centers=1), ArcFace(C, D)),
    "AdaFace h=0 = CosFace": (AdaFace(C, D, h=0), CosFace(C, D, margin=0.4)),
}


def loss_and_gradients(classifier: Classifier, weight: Tensor) -> list[Tensor]:
    classifier = classifier.double()
    set_weight(classifier, weight)
    x = draw_rows(20, D, 1).requires_grad_()
    loss = classifier(x, torch.arange(20) % C)
    to_x, to_weight = torch.autograd.grad(loss, (x, classifier.weight))
    return [loss, to_x, to_weight.reshape(-1, D)]


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_the_same_loss_and_gradient(one: Classifier, other: Classifier) -> None:
    weight = draw_rows(C, D, 2)
    pairs = zip(loss_and_gradients(one, weight), loss_and_gradients(other, weight), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("m1", "margin"), [(2.0, 2), (4.0, 4)])
def test_combined_multiplies_the_angle_as_a_softmax_does_up_to_pi_over_m(
    m1: float, margin: int
) -> None:
    theta = torch.linspace(0, torch.pi / m1 - 1e-6, 50, dtype=torch.float64)
    ours = CombinedMargin(C, D, m1, 0, 0).target_logit(theta)
    theirs = ASoftmax(C, D, margin=margin, annealing=None).target_logit(theta)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "kind",
    [
        ModifiedSoftmax,
        NormFace,
        CosFace,
        ArcFace,
        ASoftmax,
        COCO,
        ProxyNCA,
        ProxyAnchor,
        AdaFace,
    ],
)
def test_the_length_of_class_weights_does_not_matter(kind: Any) -> None:
    weight = draw_rows(C, D, 2)
    longer = weight * torch.linspace(0.1, 9, C, dtype=torch.float64)[:, None]
    classifier = kind(C, D)
    loss, to_x, to_weight = loss_and_gradients(classifier, weight)
    again, to_x_again, to_longer = loss_and_gradients(kind(C, D), longer)
    torch.testing.assert_close(again, loss)
    torch.testing.assert_close(to_x_again, to_x)
    for gradient, rows in ((to_weight, weight), (to_longer, longer)):
        radial = (gradient * rows).sum(1)
        torch.testing.assert_close(radial, torch.zeros_like(radial), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "kind",
    [
        NormFace,
        CosFace,
        ArcFace,
        GBCosFace,
        COCO,
        CombinedMargin,
        ProxyNCA,
        ProxyAnchor,
        SubCenterArcFace,
    ],
)
def test_the_length_of_embeddings_does_not_matter(kind: Any) -> None:
    classifier = kind(C, D).double().eval()
    x, labels = draw_rows(9, D, 0), torch.arange(9) % C
    torch.testing.assert_close(classifier(17 * x, labels), classifier(x, labels))
