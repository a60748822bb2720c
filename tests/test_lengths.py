"""What depends on directions alone is the same at every length a float can have."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from metricface.classifiers import AdaFace, Classifier
from metricface.distances import Distance
from metricface.distances.unit_rows import row_lengths, unit_rows
from metricface.evaluation import (
    class_distances,
    clustering,
    hardest_pairs,
    identification,
    mean_templates,
    retrieval,
    verification,
)
from metricface.losses import CenterLoss, DeepID2Loss, EmbeddingLoss, VerificationSignal
from metricface.offline import hard_pairs, nearest_impostors
from tests.cases import CLASSIFIERS, DISTANCES, LOSSES, MINERS, AnyMiner
from tests.classifiers.weights import set_weight
from tests.layouts import draw_rows

LENGTHS = [1e-38, 1e-30, 1e-22, 1e-20, 1e-10, 1e10, 1e18, 1e20, 1e37]
every_length = pytest.mark.parametrize("length", LENGTHS)

X = unit_rows(draw_rows(16, 8, 0)).float()
LABELS = torch.arange(16) // 4
UNIT_DISTANCES = {name: d for name, d in DISTANCES.items() if d.normalize}
PLAIN_DISTANCES = {name: d for name, d in DISTANCES.items() if not d.normalize}


def with_gradient(loss: Callable[[Tensor], Tensor], x: Tensor) -> tuple[float, Tensor]:
    x = x.clone().requires_grad_()
    value = loss(x)
    (gradient,) = torch.autograd.grad(value, x)
    return float(value.detach()), gradient


@every_length
def test_unit_rows_and_row_lengths(length: float) -> None:
    torch.testing.assert_close(unit_rows(X * length), X, rtol=0, atol=2e-7)
    torch.testing.assert_close(
        row_lengths(X * length).double() / length, torch.ones(16, 1).double(), rtol=1e-6, atol=0
    )
    _, gradient = with_gradient(lambda x: unit_rows(x)[:, 0].sum(), X * length)
    assert torch.isfinite(gradient).all()


def test_float64_too_at_its_own_ends() -> None:
    x = draw_rows(5, 3, 1)
    for length in (1e-307, 1e-160, 1e160, 1e307):
        torch.testing.assert_close(unit_rows(x * length), unit_rows(x), rtol=1e-14, atol=0)
        torch.testing.assert_close(row_lengths(x * length) / length, row_lengths(x))


@pytest.mark.parametrize("distance", UNIT_DISTANCES.values(), ids=UNIT_DISTANCES)
@every_length
def test_distances(distance: Distance, length: float) -> None:
    expected = distance.pairwise(X)
    torch.testing.assert_close(distance.pairwise(X * length), expected, rtol=0, atol=1e-5)
    mixed = X * torch.tensor(LENGTHS[:8]).repeat(2)[:, None]
    torch.testing.assert_close(distance.pairwise(mixed), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        distance.paired(X * length, X.flip(0)), distance.paired(X, X.flip(0)), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("make", MINERS.values(), ids=MINERS)
@every_length
def test_miners(make: Callable[..., AnyMiner], length: float) -> None:
    expected = make()(X, LABELS)
    for ours, theirs in zip(make()(X * length, LABELS), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
@every_length
def test_losses(make: Callable[..., EmbeddingLoss], length: float) -> None:
    loss = make()
    expected, slope = with_gradient(lambda x: loss(x, LABELS), X)
    value, gradient = with_gradient(lambda x: loss(x, LABELS), X * length)
    assert value == pytest.approx(expected, rel=2e-6)
    floored = max(length, 1e-12)
    torch.testing.assert_close(
        gradient.double() * floored, slope.double(), rtol=1e-4, atol=1e-4 * float(slope.abs().max())
    )


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)
@pytest.mark.parametrize("length", [0.0, 1e-45, *LENGTHS[:-1]])
def test_classifiers(make: Callable[..., Classifier], length: float) -> None:
    torch.manual_seed(0)
    head = make(4, 8).eval()
    value, gradient = with_gradient(lambda x: head(x, LABELS), X * length)
    assert math.isfinite(value)
    assert torch.isfinite(gradient).all()
    if head.scale is not None and length >= 1e-38:
        # AdaFace asks by the length, and all beyond what it clamps to are alike.
        same = min(max(length, 1e-3), 100.0) if isinstance(head, AdaFace) else 1.0
        expected, _ = with_gradient(lambda x: head(x, LABELS), X * same)
        assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)
@pytest.mark.parametrize("length", [0.0, 1e-45, *LENGTHS[:-1]])
def test_class_weights(make: Callable[..., Classifier], length: float) -> None:
    torch.manual_seed(0)
    head = make(4, 8).eval()
    set_weight(head, unit_rows(draw_rows(4, 8, 3)))
    expected = float(head(X, LABELS).detach())
    with torch.no_grad():
        head.weight.mul_(length)
    loss = head(X, LABELS)
    if head.unit_weight and length >= 1e-38:
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    if head.weight.requires_grad:
        loss.backward()
        assert head.weight.grad is not None
        assert torch.isfinite(head.weight.grad).all()
        assert math.isfinite(float(loss.detach()))


@every_length
def test_evaluation_and_offline(length: float) -> None:
    x = X * length
    assert retrieval(x, LABELS) == retrieval(X, LABELS)
    assert (
        verification(x, LABELS, folds=2, fars=(0.1,)).tar
        == verification(X, LABELS, folds=2, fars=(0.1,)).tar
    )
    assert clustering(x, LABELS, threshold=0.5).nmi == clustering(X, LABELS, threshold=0.5).nmi
    assert (hardest_pairs(x, LABELS).impostors == hardest_pairs(X, LABELS).impostors).all()
    assert class_distances(x, LABELS).d_prime == pytest.approx(
        class_distances(X, LABELS).d_prime, abs=1e-6
    )
    ours, theirs = (identification(y[::2], LABELS[::2], y[1::2], LABELS[1::2]) for y in (x, X))
    assert ours.rank == theirs.rank
    assert (
        nearest_impostors(x, LABELS, 3).indices == nearest_impostors(X, LABELS, 3).indices
    ).all()
    assert torch.equal(hard_pairs(x, LABELS).negative, hard_pairs(X, LABELS).negative)
    torch.testing.assert_close(
        mean_templates(x, LABELS).embeddings, mean_templates(X, LABELS).embeddings
    )


@pytest.mark.parametrize("length", [2e19, 1e20, 3e38])
def test_a_squared_length_that_overflows_is_an_error_that_names_the_row(length: float) -> None:
    x = X.clone()
    x[5] = length / 8**0.5
    long = r"row 5 of the \w+ is .* long"
    for distance in PLAIN_DISTANCES.values():
        with pytest.raises(ValueError, match=long):
            distance.pairwise(x)
        for make in LOSSES.values():
            with pytest.raises(ValueError, match=long):
                make(distance=distance)(x, LABELS)
        with pytest.raises(ValueError, match=long):
            retrieval(x, LABELS, distance=distance)
        with pytest.raises(ValueError, match=long):
            verification(x, LABELS, folds=2, distance=distance)
    with pytest.raises(ValueError, match=long):
        CenterLoss(4, 8)(x, LABELS)
    with pytest.raises(ValueError, match=long):
        VerificationSignal()(x, LABELS)
    with pytest.raises(ValueError, match=long):
        DeepID2Loss(4, 8)(x, LABELS)
