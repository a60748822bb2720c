from __future__ import annotations

from typing import Any

import pytest
import torch

from metricface.classifiers import Softmax
from metricface.losses import CenterLoss
from tests.layouts import draw_rows
from tests.oracles.losses import center_loss

LABELS = torch.tensor([0, 0, 0, 2, 2, 4])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_loss_and_centres_follow_the_formula_batch_after_batch(alpha: float) -> None:
    loss = CenterLoss(5, 3, weight=0.7, alpha=alpha).double()
    loss.load_state_dict({"centers": draw_rows(5, 3, 9)})
    centers = draw_rows(5, 3, 9).numpy()
    for seed in range(4):
        x = draw_rows(6, 3, seed)
        expected, centers = center_loss(x.numpy(), LABELS.tolist(), centers, 0.7, alpha)
        assert float(loss(x, LABELS)) == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(loss.centers, torch.from_numpy(centers))


def test_gradcheck_though_the_centres_move() -> None:
    loss = CenterLoss(5, 3).double()
    loss.load_state_dict({"centers": draw_rows(5, 3, 9)})
    x = draw_rows(6, 3, 0).requires_grad_()
    value = loss(x, LABELS)
    expected = 0.003 * (x.detach() - draw_rows(5, 3, 9)[LABELS]) / 6
    torch.testing.assert_close(torch.autograd.grad(value, x)[0], expected)
    assert torch.autograd.gradcheck(lambda e: loss.eval()(e, LABELS), (x,))


def test_the_centres_reach_the_class_means_whatever_the_weight() -> None:
    x = draw_rows(6, 3, 0)
    means = torch.stack([x[y == LABELS].mean(0) for y in (0, 2, 4)])
    for weight in (0.0, 0.003, 10.0):
        loss = CenterLoss(5, 3, weight=weight).double()
        for _ in range(80):
            loss(x, LABELS)
        torch.testing.assert_close(loss.centers[[0, 2, 4]], means)
        assert (loss.centers[[1, 3]] == 0).all()


def test_evaluation_leaves_the_centres_and_a_restored_loss_goes_on() -> None:
    first, second = CenterLoss(5, 3), CenterLoss(5, 3)
    x = draw_rows(6, 3, 0).float()
    first(x, LABELS)
    second.load_state_dict(first.state_dict())
    before = first.centers.clone()
    first.eval()(x, LABELS)
    assert torch.equal(first.centers, before)
    assert first.train()(x, LABELS) == second(x, LABELS)
    assert list(first.parameters()) == []


def test_beside_a_classifier_classes_become_tighter() -> None:
    def spread(weight: float) -> float:
        torch.manual_seed(0)
        x = torch.nn.Parameter(draw_rows(30, 4, 0).float())
        labels = torch.arange(30) % 3
        classifier, center = Softmax(3, 4), CenterLoss(3, 4, weight=weight)
        optimizer = torch.optim.SGD([x, *classifier.parameters()], lr=0.5)
        for _ in range(150):
            optimizer.zero_grad()
            (classifier(x, labels) + center(x, labels)).backward()
            optimizer.step()
        kinds = [x.detach()[labels == y] for y in range(3)]
        within = sum(float(k.var(0).sum()) for k in kinds) / 3
        return within / float(x.detach().var(0).sum())

    assert spread(0.5) < 0.3 * spread(0.0)


@pytest.mark.parametrize("count", [0, 1])
def test_few_samples(count: int) -> None:
    loss = CenterLoss(5, 3)
    x = torch.zeros(count, 3, requires_grad=True)
    value = loss(x, LABELS[:count])
    assert value == 0
    assert (torch.autograd.grad(value, x)[0] == 0).all()
    assert loss.centers.isfinite().all()


def test_half_precision_is_lifted_and_centres_stay() -> None:
    loss = CenterLoss(5, 3, weight=1.0).eval()
    x = draw_rows(6, 3, 0).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss.train()(x, LABELS)
    assert value.dtype == loss.centers.dtype == torch.float32
    assert CenterLoss(5, 3, weight=1.0)(x.float(), LABELS) == value
    assert loss(x.double(), LABELS).dtype == torch.float64


def test_bad_batches_and_settings_are_refused() -> None:
    loss = CenterLoss(5, 3)
    with pytest.raises(ValueError, match="dimension 4 but the centers has 3"):
        loss(torch.zeros(6, 4), LABELS)
    with pytest.raises(ValueError, match="from 0 to 4, got 5"):
        loss(torch.zeros(6, 3), LABELS + 1)
    with pytest.raises(ValueError, match="row 1 of 2"):
        loss(torch.tensor([[0.0] * 3, [torch.nan] * 3]), [0, 1])
    settings: list[tuple[dict[str, Any], str]] = [
        ({"num_classes": 0, "dim": 3}, "num_classes .* got 0"),
        ({"num_classes": 5, "dim": 3, "weight": -1.0}, "weight .* got -1.0"),
        ({"num_classes": 5, "dim": 3, "alpha": 1.5}, "alpha .* got 1.5"),
    ]
    for keywords, says in settings:
        with pytest.raises(ValueError, match=says):
            CenterLoss(**keywords)
