"""What every classifier promises, checked for every row of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from metricface.classifiers import Classifier
from metricface.embeddings import set_finite_check
from tests.cases import CLASSIFIERS
from tests.classifiers.weights import set_weight
from tests.layouts import draw_rows

Make = Callable[..., Classifier]
every_classifier = pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)

X, LABELS = draw_rows(6, 4, 0), torch.tensor([0, 1, 2, 3, 4, 4])


def gradients(classifier: Classifier, x: Tensor, labels: Tensor) -> list[Tensor]:
    wanted = [x, *(p for p in classifier.parameters() if p.requires_grad)]
    return list(torch.autograd.grad(classifier(x, labels).sum(), wanted))


@every_classifier
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_every_corner(make: Make, dtype: torch.dtype) -> None:
    """Cosines of exactly ±1 and 0, zero embeddings, a zero class weight, enormous embeddings."""
    classifier = make(5, 4, reduction="none").to(dtype)
    set_weight(classifier, torch.cat([torch.eye(4) * 3, torch.zeros(1, 4)]))
    x = torch.cat([torch.eye(4), -torch.eye(4), torch.zeros(2, 4), 1e6 * torch.eye(4)])
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 4, 0, 1, 3, 2])
    x = x.to(dtype).requires_grad_()
    assert classifier(x, labels).isfinite().all()
    for gradient in gradients(classifier, x, labels):
        assert gradient.isfinite().all()


@every_classifier
@pytest.mark.parametrize("shift", [1e-8, 1e-7, 1e-6, 1e-4])
def test_gradients_are_bounded_next_to_the_poles(make: Make, shift: float) -> None:
    """Where 1 − cos² rounds to little or nothing, the pull on an embedding stays as it is."""
    classifier = make(4, 4, reduction="sum")
    set_weight(classifier, torch.eye(4))
    for sign in (1.0, -1.0):
        x = (sign * torch.eye(4) + shift * torch.ones(4, 4)).requires_grad_()
        for gradient in gradients(classifier, x, torch.arange(4)):
            assert gradient.abs().max() < 1e3


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name != "Proxy-Anchor"])
def test_one_class_costs_nothing(name: str) -> None:
    """Proxy-Anchor, which is no softmax, draws to the only proxy as to any other."""
    make = CLASSIFIERS[name]
    classifier = make(1, 4)
    x = X.float().requires_grad_()
    assert classifier(x, torch.zeros(6, dtype=torch.int64)) == 0
    for gradient in gradients(classifier, x, torch.zeros(6, dtype=torch.int64)):
        assert (gradient == 0).all()


@every_classifier
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_empty_batch_is_zero_with_zero_gradient(make: Make, reduction: str) -> None:
    classifier = make(5, 4, reduction=reduction)
    x, labels = torch.empty(0, 4, requires_grad=True), torch.empty(0, dtype=torch.int64)
    assert classifier(x, labels) == 0
    for gradient in gradients(classifier, x, labels):
        assert (gradient == 0).all()
    assert classifier.logits(x).shape == (0, 5)


@every_classifier
def test_one_sample_has_a_loss(make: Make) -> None:
    x = X[:1].clone().requires_grad_()
    for gradient in gradients(make(5, 4).double(), x, LABELS[:1]):
        assert gradient.isfinite().all()


@every_classifier
def test_permuting_the_batch_leaves_the_loss(make: Make) -> None:
    classifier = make(5, 4).double().eval()
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    torch.testing.assert_close(classifier(X[order], LABELS[order]), classifier(X, LABELS))


@every_classifier
def test_a_small_step_down_the_gradient_lowers_the_loss(make: Make) -> None:
    classifier = make(5, 4).double().eval()
    x = X.clone().requires_grad_()
    before = classifier(x, LABELS)
    wanted = [x, *(p for p in classifier.parameters() if p.requires_grad)]
    slopes = torch.autograd.grad(before, wanted)
    with torch.no_grad():
        size = sum(float((slope**2).sum()) for slope in slopes) ** 0.5
        for value, slope in zip(wanted, slopes, strict=True):
            value -= 1e-5 / size * slope
        assert classifier(x, LABELS) < before


@every_classifier
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted_and_double_stays(make: Make, dtype: torch.dtype) -> None:
    classifier = make(5, 4).eval()
    x = X.to(dtype).requires_grad_()
    loss = classifier(x, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, classifier(x.detach().float(), LABELS), rtol=0, atol=0)
    assert torch.autograd.grad(loss, x)[0].dtype == dtype
    assert classifier(X, LABELS).dtype == torch.float64
    assert classifier.logits(X).dtype == torch.float64


@every_classifier
def test_autocast_is_near_and_leaves_parameters_float32(make: Make) -> None:
    torch.manual_seed(0)  # near a bend of its curve a class weight would be on another side of it
    classifier = make(5, 16)
    x, labels = draw_rows(12, 16, 0).float().requires_grad_(), torch.arange(12) % 5
    exact = classifier.eval()(x, labels)
    expected = gradients(classifier, x, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = classifier(x, labels)
        found = gradients(classifier, x, labels)
        assert classifier.logits(x).dtype == torch.float32
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.03, atol=0.03)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() <= 0.05 * theirs.norm()


@every_classifier
def test_training_leaves_parameters_float32_and_lowers_the_loss(make: Make) -> None:
    torch.manual_seed(0)
    classifier = make(3, 8)
    x = torch.nn.Parameter(draw_rows(9, 8, 1).float())
    labels = torch.arange(9) % 3
    trained = [x, *(p for p in classifier.parameters() if p.requires_grad)]
    optimizer = torch.optim.Adam(trained, lr=0.03)
    losses = []
    for _ in range(100):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = classifier(x, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.dtype == torch.float32 for p in classifier.parameters())
    assert (classifier.logits(x).argmax(1) == labels).all()


@every_classifier
def test_a_restored_classifier_goes_on_as_the_first(make: Make) -> None:
    first, second = make(5, 4), make(5, 4)
    x = X.float()
    first(x, LABELS)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        assert first(x, LABELS) == second(x, LABELS)
    assert str(first.state_dict()) == str(second.state_dict())


@every_classifier
def test_evaluation_changes_nothing(make: Make) -> None:
    classifier = make(5, 4).eval()
    before = str(classifier.state_dict())
    classifier(X.float(), LABELS)
    assert str(classifier.state_dict()) == before


@every_classifier
@pytest.mark.parametrize(
    "labels",
    [LABELS.tolist(), LABELS.numpy(), LABELS.to(torch.uint8), LABELS.numpy().astype(np.int16)],
    ids=["list", "numpy", "uint8", "int16"],
)
def test_labels_of_every_kind(make: Make, labels: Any) -> None:
    classifier = make(5, 4).eval()
    assert classifier(X, labels) == classifier(X, LABELS)


@every_classifier
def test_bad_batches_are_refused_with_what_arrived(make: Make) -> None:
    classifier = make(5, 4)
    bad = X.clone()
    bad[2, 1] = torch.nan
    with pytest.raises(ValueError, match="first in row 2 of 6"):
        classifier(bad, LABELS)
    with pytest.raises(ValueError, match="of dimension 4, got 3"):
        classifier(X[:, :3], LABELS)
    with pytest.raises(ValueError, match="of dimension 4, got 3"):
        classifier.logits(X[:, :3])
    with pytest.raises(ValueError, match="6 embeddings came with 5 labels"):
        classifier(X, LABELS[:5])
    with pytest.raises(ValueError, match="from 0 to 4, got 5 in row 1 of 6"):
        classifier(X, [0, 5, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="got -1 in row 5 of 6"), set_finite_check(False):
        classifier(X, [0, 0, 0, 0, 0, -1])
    with pytest.raises(TypeError, match="must be class numbers"):
        classifier(X, ["a", "b", "c", "d", "e", "f"])
    with pytest.raises(TypeError, match="integers"):
        classifier(X, LABELS.float())


@every_classifier
def test_bad_settings_are_refused_with_what_arrived(make: Make) -> None:
    with pytest.raises(ValueError, match="got 0"):
        make(0, 4)
    with pytest.raises(ValueError, match="dim must be at least 1, got 0"):
        make(5, 0)
    with pytest.raises(ValueError, match="got 'average'"):
        make(5, 4, reduction="average")


@every_classifier
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_loss_of_the_cpu(make: Make) -> None:
    classifier = make(5, 4).double().eval()
    expected = classifier(X, LABELS)
    torch.testing.assert_close(classifier.cuda()(X.cuda(), LABELS.cuda()).cpu(), expected)
