"""Against pytorch-metric-learning's heads, where the definition is the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as pml

from metricface.classifiers import (
    ArcFace,
    ASoftmax,
    Classifier,
    CosFace,
    LSoftmax,
    NormFace,
)
from metricface.miners import SemiHardMiner
from metricface.samplers import PKSampler
from tests.layouts import draw_rows

C, D = 6, 5
X, LABELS = draw_rows(12, D, 0), torch.arange(12) % C
OURS: dict[str, Callable[[], Classifier]] = {
    "CosFace": lambda: CosFace(C, D),
    "ArcFace, m in degrees": lambda: ArcFace(C, D),
    "NormFace, scale = 1/temperature": lambda: NormFace(C, D, scale=20.0),
    "L-Softmax without annealing": lambda: LSoftmax(C, D, annealing=None),
    "A-Softmax without annealing": lambda: ASoftmax(C, D, annealing=None),
}
THEIRS: dict[str, Callable[[], Any]] = {
    "CosFace": lambda: pml.CosFaceLoss(C, D),
    "ArcFace, m in degrees": lambda: pml.ArcFaceLoss(C, D, margin=math.degrees(0.5)),
    "NormFace, scale = 1/temperature": lambda: pml.NormalizedSoftmaxLoss(C, D, temperature=0.05),
    "L-Softmax without annealing": lambda: pml.LargeMarginSoftmaxLoss(C, D),
    "A-Softmax without annealing": lambda: pml.SphereFaceLoss(C, D),
}


# Theirs multiplies a numpy number with a tensor.
@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("name", OURS)
def test_losses_and_gradients_are_theirs(name: str) -> None:
    ours, theirs = OURS[name]().double(), THEIRS[name]().double()
    with torch.no_grad():
        theirs.W.copy_(ours.weight.T)
    one, other = X.clone().requires_grad_(), X.clone().requires_grad_()
    mine, their = ours(one, LABELS), theirs(other, LABELS)
    torch.testing.assert_close(mine, their)
    torch.testing.assert_close(torch.autograd.grad(mine, one), torch.autograd.grad(their, other))


def test_their_arcface_at_cosine_one_has_no_finite_gradient_and_ours_has() -> None:
    weight = torch.eye(D)
    x, labels = weight.clone().requires_grad_(), torch.arange(D)
    ours, theirs = ArcFace(D, D, margin=0.5), pml.ArcFaceLoss(D, D)
    with torch.no_grad():
        ours.weight.copy_(weight)
        theirs.W.copy_(weight.T)
    assert not torch.autograd.grad(theirs(x, labels), x)[0].isfinite().all()
    assert torch.autograd.grad(ours(x, labels), x)[0].isfinite().all()


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
