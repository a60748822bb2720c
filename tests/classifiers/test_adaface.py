"""A margin that follows the length: its curve, its running statistics, and what has no gradient."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.classifiers import AdaFace, ArcFace, CosFace
from tests.layouts import draw_rows
from tests.oracles import classifiers as oracle

C, D = 6, 5
LABELS = torch.arange(10) % C
LENGTHS = torch.tensor([0.0, 1e-5, 0.5, 2, 5, 20, 60, 99, 150, 1e6], dtype=torch.float64)


def rows(seed: int) -> Tensor:
    return F.normalize(draw_rows(10, D, seed)) * LENGTHS[:, None]


@pytest.mark.parametrize("quality", [-1.0, -0.4, 0.0, 0.3, 1.0])
def test_the_curve_is_the_printed_one(quality: float) -> None:
    theta = torch.linspace(0, math.pi, 499, dtype=torch.float64)
    found = AdaFace(C, D).target(torch.cos(theta), quality)
    expected = [oracle.adaface(angle, quality) for angle in theta.tolist()]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert (found.diff() <= 0).all()


def test_it_lies_between_arcface_and_cosface() -> None:
    theta = torch.linspace(0, math.pi - 0.41, 200, dtype=torch.float64)
    head = AdaFace(C, D)
    arcface, cosface = ArcFace(C, D, margin=0.4), CosFace(C, D, margin=0.4)
    torch.testing.assert_close(head.target(torch.cos(theta), -1), arcface.target_logit(theta))
    torch.testing.assert_close(head.target_logit(theta), cosface.target_logit(theta))


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_the_statistics_follow_the_rule_batch_after_batch(alpha: float) -> None:
    """Lengths of 0, tiny and enormous ones among them; batches of one and of none as well."""
    classifier = AdaFace(C, D, alpha=alpha, reduction="sum").double()
    mean, std = 20.0, 100.0
    for seed, count in enumerate((10, 1, 7, 0, 10)):
        x, labels = rows(seed)[-count:] if count else rows(seed)[:0], LABELS[:count]
        weight = classifier.weight.detach().numpy()
        terms, mean, std = oracle.adaptive(
            x.numpy(), weight, labels.tolist(), mean, std, alpha=alpha
        )
        assert float(classifier(x, labels).detach()) == pytest.approx(sum(terms), rel=1e-9)
        assert float(classifier.norm_mean) == pytest.approx(mean, rel=1e-9)
        assert float(classifier.norm_std) == pytest.approx(std, rel=1e-9)


def test_the_statistics_rest_in_evaluation_and_are_used() -> None:
    classifier = AdaFace(C, D, alpha=0.5, reduction="none").double()
    classifier(rows(0), LABELS)
    kept = {name: value.clone() for name, value in classifier.named_buffers()}
    mean, std = (float(kept[name]) for name in ("norm_mean", "norm_std"))
    x, weight = rows(1), classifier.weight.detach().numpy()
    # With no share for the batch, the loops leave the statistics as they are.
    expected, *_ = oracle.adaptive(x.numpy(), weight, LABELS.tolist(), mean, std, alpha=0.0)
    found = classifier.eval()(x, LABELS)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert all(torch.equal(value, kept[name]) for name, value in classifier.named_buffers())


def published(x: Tensor, weight: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The official lines for one batch with arc cosines, the length detached as there."""
    norms = x.norm(dim=1).clamp(0.001, 100).detach()
    quality = (0.333 * (norms - mean) / (std + 1e-3)).clamp(-1, 1)
    cosine = F.normalize(x) @ F.normalize(weight).T
    own = F.one_hot(LABELS, C)
    turned = (cosine.acos() - own * 0.4 * quality[:, None]).clamp(1e-3, math.pi - 1e-3).cos()
    logits = 64 * (turned - own * (0.4 + 0.4 * quality[:, None]))
    return F.cross_entropy(logits, LABELS)


def test_gradients_are_those_of_the_stopped_length() -> None:
    classifier = AdaFace(C, D).double().eval()
    classifier.norm_mean.fill_(5.0)
    classifier.norm_std.fill_(3.0)
    x = (draw_rows(10, D, 3) * torch.linspace(0.5, 6, 10)[:, None]).requires_grad_()
    expected = published(x, classifier.weight, classifier.norm_mean, classifier.norm_std)
    found = classifier(x, LABELS)
    torch.testing.assert_close(found, expected)
    wanted = (x, classifier.weight)
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted), torch.autograd.grad(expected, wanted), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    (to_x,) = torch.autograd.grad(classifier(x, LABELS), x)
    radial = (to_x * x).sum(1)
    torch.testing.assert_close(radial, torch.zeros_like(radial), rtol=0, atol=1e-12)


def test_the_longer_of_two_equal_samples_is_asked_more_where_it_is_easy() -> None:
    """And a hard one, far from its class, is pulled more the longer it is."""
    head = AdaFace(C, D)
    quality = torch.tensor([-1.0, 0.0, 1.0])
    near = head.target(torch.full((3,), math.cos(0.6)), quality)
    assert (near.diff() < 0).all()
    far = torch.full((3,), math.cos(2.5), requires_grad=True)
    (slope,) = torch.autograd.grad(head.target(far, quality).sum(), far)
    assert (slope.diff() > 0).all()
