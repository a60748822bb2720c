"""Against pytorch-metric-learning's heads, where the definition is the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as pml
from torch import Tensor

from metricface.classifiers import (
    ArcFace,
    ASoftmax,
    Classifier,
    CosFace,
    LSoftmax,
    NormFace,
    ProxyAnchor,
    ProxyNCA,
    SubCenterArcFace,
)
from metricface.miners import SemiHardMiner
from metricface.samplers import PKSampler
from tests.classifiers.weights import set_weight
from tests.layouts import draw_rows
from tests.oracles import classifiers as oracle

# Theirs multiplies a numpy number with a tensor.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
C, D = 6, 5
X, LABELS = draw_rows(12, D, 0), torch.arange(12) % C
OURS: dict[str, Callable[[], Classifier]] = {
    "CosFace": lambda: CosFace(C, D),
    "ArcFace, m in degrees": lambda: ArcFace(C, D),
    "NormFace, scale = 1/temperature": lambda: NormFace(C, D, scale=20.0),
    "L-Softmax without annealing": lambda: LSoftmax(C, D, annealing=None),
    "A-Softmax without annealing": lambda: ASoftmax(C, D, annealing=None),
    "Proxy-NCA++, scale = 1/temperature": lambda: ProxyNCA(C, D),
    "Proxy-Anchor": lambda: ProxyAnchor(C, D),
    "sub-center ArcFace, m in degrees": lambda: SubCenterArcFace(C, D),
}
THEIRS: dict[str, Callable[[], Any]] = {
    "CosFace": lambda: pml.CosFaceLoss(C, D),
    "ArcFace, m in degrees": lambda: pml.ArcFaceLoss(C, D, margin=math.degrees(0.5)),
    "NormFace, scale = 1/temperature": lambda: pml.NormalizedSoftmaxLoss(C, D, temperature=0.05),
    "L-Softmax without annealing": lambda: pml.LargeMarginSoftmaxLoss(C, D),
    "A-Softmax without annealing": lambda: pml.SphereFaceLoss(C, D),
    "Proxy-NCA++, scale = 1/temperature": lambda: pml.ProxyNCALoss(C, D, softmax_scale=9),
    "Proxy-Anchor": lambda: pml.ProxyAnchorLoss(C, D),
    "sub-center ArcFace, m in degrees": lambda: pml.SubCenterArcFaceLoss(
        num_classes=C, embedding_size=D, margin=math.degrees(0.5)
    ),
}


def share(ours: Classifier, theirs: Any) -> Tensor:
    """Give theirs our class weights, whichever way round they lie; which they are then."""
    weight = ours.weight.detach().flatten(0, -2)
    kept: Tensor = theirs.proxies if hasattr(theirs, "proxies") else theirs.W
    kept.data.copy_(weight if hasattr(theirs, "proxies") else weight.T)
    return kept


@pytest.mark.parametrize("name", OURS)
def test_losses_and_gradients_are_theirs(name: str) -> None:
    ours, theirs = OURS[name]().double(), THEIRS[name]().double()
    their_weight = share(ours, theirs)
    one, other = X.clone().requires_grad_(), X.clone().requires_grad_()
    mine, their = ours(one, LABELS), theirs(other, LABELS)
    torch.testing.assert_close(mine, their)
    to_x, to_weight = torch.autograd.grad(mine, (one, ours.weight))
    their_to_x, their_to_weight = torch.autograd.grad(their, (other, their_weight))
    torch.testing.assert_close(to_x, their_to_x)
    to_weight = to_weight.flatten(0, -2)
    if their_weight.shape != to_weight.shape:
        their_to_weight = their_to_weight.T
    torch.testing.assert_close(to_weight, their_to_weight)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ArcFace(D, D), pml.ArcFaceLoss(D, D)),
        (
            SubCenterArcFace(D, D, sub_centers=2),
            pml.SubCenterArcFaceLoss(num_classes=D, embedding_size=D, sub_centers=2),
        ),
    ],
    ids=["ArcFace", "sub-center ArcFace"],
)
def test_their_arcface_at_cosine_one_has_no_finite_gradient_and_ours_has(
    ours: Classifier, theirs: Any
) -> None:
    x, labels = torch.eye(D).requires_grad_(), torch.arange(D)
    set_weight(ours, torch.eye(D))
    share(ours, theirs)
    assert not torch.autograd.grad(theirs(x, labels), x)[0].isfinite().all()
    assert torch.autograd.grad(ours(x, labels), x)[0].isfinite().all()


def test_their_proxy_nca_leaves_out_the_hardest_samples_and_ours_does_not() -> None:
    """Theirs takes the logarithm of a probability, and drops those that have become 0."""
    x = torch.tensor([[-1.0, 0.1, 0.0], [0.1, 1.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 1])
    ours, theirs = ProxyNCA(3, 3, temperature=1 / 60), pml.ProxyNCALoss(3, 3, softmax_scale=60)
    set_weight(ours, torch.eye(3))
    share(ours, theirs)
    expected = oracle.proxy_nca(
        x.detach().double().numpy(), np.eye(3), [0, 1], 1 / 60, own_proxy=True
    )
    loss = ours(x, labels)
    assert float(loss.detach()) == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert expected[0] > 100
    assert torch.autograd.grad(loss, x)[0][0].norm() > 1
    theirs_loss = theirs(x, labels)
    assert theirs_loss < 1
    assert (torch.autograd.grad(theirs_loss, x)[0][0] == 0).all()


@pytest.mark.parametrize("name", OURS)
def test_an_empty_batch_is_nothing_where_theirs_is_often_no_number(name: str) -> None:
    x, labels = torch.empty(0, D), torch.empty(0, dtype=torch.int64)
    assert OURS[name]()(x, labels) == 0
    theirs = THEIRS[name]()(x, labels)
    assert theirs == 0 if name == "Proxy-Anchor" else theirs.isnan()


def test_cleaning_finds_their_outliers_and_dominant_centers() -> None:
    ours = SubCenterArcFace(C, D)
    theirs = pml.SubCenterArcFaceLoss(num_classes=C, embedding_size=D)
    share(ours, theirs)
    x, labels = draw_rows(60, D, 1).float(), torch.arange(60) % C
    head, keep = ours.cleaned(x, labels)
    outliers, centers = theirs.get_outliers(x, labels, threshold=75)
    assert 0 < len(outliers) < 60
    assert (~keep).nonzero().flatten().tolist() == sorted(outliers.tolist())
    torch.testing.assert_close(head.weight.detach(), centers.T)


def test_their_losses_take_our_miners_and_samplers() -> None:
    """What the other library has is used as it is, in the same loop, not written again."""
    labels = np.repeat(np.arange(20), 6)
    x = torch.nn.Parameter(draw_rows(len(labels), 8, 0))
    for theirs in (
        pml.MultiSimilarityLoss(),
        pml.SupConLoss(),
        pml.CircleLoss(),
        pml.ProxyAnchorLoss(20, 8),
    ):
        sampler, miner = PKSampler(labels, p=6, k=4), SemiHardMiner(margin=0.5)
        theirs = theirs.double()
        optimizer = torch.optim.SGD([x, *theirs.parameters()], lr=0.5)
        for batch in sampler:
            chosen = torch.from_numpy(labels[batch])
            loss = theirs(x[batch], chosen, miner(x[batch], chosen))
            optimizer.zero_grad()
            loss.backward()
            assert x.grad is not None
            assert x.grad[batch].isfinite().all()
            assert x.grad[batch].abs().sum() > 0
            optimizer.step()
