"""Proxy-NCA in its two forms, and Proxy-Anchor, whose terms belong to classes."""

from __future__ import annotations

import pytest
import torch

from metricface.classifiers import ProxyAnchor, ProxyNCA
from tests.layouts import draw_rows
from tests.oracles import classifiers as oracle

C, D = 5, 4
X, LABELS = draw_rows(7, D, 0), [0, 0, 3, 3, 3, 1, 0]  # no sample of classes 2 and 4


@pytest.mark.parametrize("labels", [LABELS, [2] * 7], ids=["three classes", "one class"])
@pytest.mark.parametrize(("scale", "margin"), [(32.0, 0.1), (4.0, 0.3)])
def test_proxy_anchor_is_the_printed_sum(labels: list[int], scale: float, margin: float) -> None:
    classifier = ProxyAnchor(C, D, scale=scale, margin=margin).double()
    weight = classifier.weight.detach().numpy()
    expected = oracle.proxy_anchor(X.numpy(), weight, labels, scale=scale, margin=margin)
    assert float(classifier(X, labels).detach()) == pytest.approx(expected, rel=1e-12)


def test_proxy_anchor_has_a_term_for_each_class() -> None:
    terms = ProxyAnchor(C, D, reduction="none")(X.float(), LABELS)
    assert terms.shape == (C,)


def test_one_class_alone_is_drawn_to_its_proxy() -> None:
    classifier = ProxyAnchor(1, D).double()
    x = X.clone().requires_grad_()
    loss = classifier(x, [0] * 7)
    expected = oracle.proxy_anchor(X.numpy(), classifier.weight.detach().numpy(), [0] * 7)
    assert float(loss.detach()) == pytest.approx(expected)
    with torch.no_grad():
        step = x - 1e-3 * torch.autograd.grad(loss, x)[0]
        assert (classifier.logits(step) > classifier.logits(x)).any()


def test_without_its_own_proxy_a_perfect_sample_is_pulled_as_before() -> None:
    """And the loss goes below 0; Proxy-NCA++ has nothing left to do there."""
    x, labels = torch.eye(C) + 0.1 * torch.ones(C, C), range(C)
    pulls = {}
    for own_proxy in (True, False):
        classifier = ProxyNCA(C, C, own_proxy=own_proxy)
        classifier.load_state_dict({"weight": torch.eye(C)})
        rows = x.clone().requires_grad_()
        loss = classifier(rows, labels)
        assert bool(loss < 0) is not own_proxy
        pulls[own_proxy] = float(torch.autograd.grad(loss, rows)[0].norm())
    assert pulls[True] < 1e-3 < 1 < pulls[False]


def test_many_classes_are_no_reason_to_refuse_the_first_papers_temperature() -> None:
    assert ProxyNCA(11_318, D, temperature=1.0, own_proxy=False).scale == 2.0
    with pytest.raises(ValueError, match=r"scale 2\.0 is too small for 11318 classes"):
        ProxyNCA(11_318, D, temperature=1.0)
