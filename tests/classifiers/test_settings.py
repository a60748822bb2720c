"""Bounds, annealing, and settings outside the papers' range."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import torch

from metricface.classifiers import (
    COCO,
    AdaFace,
    Annealing,
    ArcFace,
    ASoftmax,
    CombinedMargin,
    CosFace,
    GBCosFace,
    LSoftmax,
    NormFace,
    ProxyAnchor,
    ProxyNCA,
    SubCenterArcFace,
    max_margin,
    min_loss,
    min_scale,
)


def simplex(classes: int) -> torch.Tensor:
    """Class centres as far apart as they can be, in ``classes`` dimensions."""
    corners = torch.eye(classes, dtype=torch.float64)
    return corners - corners.mean(0)


@pytest.mark.parametrize(
    ("classes", "probability", "printed"),
    [(10_575, 0.9, 11.5), (10_575, 0.99, 13.9), (85_742, 0.9, 13.6), (85_742, 0.99, 16.0)],
)
def test_min_scale_is_the_papers(classes: int, probability: float, printed: float) -> None:
    assert min_scale(classes, probability) == pytest.approx(printed, abs=0.05)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.99])
def test_at_min_scale_perfect_centres_reach_the_probability(
    classes: int, probability: float
) -> None:
    scale = min_scale(classes, probability)
    classifier = NormFace(classes, classes, scale=scale).double()
    classifier.load_state_dict({"weight": simplex(classes)})
    found = classifier.logits(simplex(classes)).softmax(1).diagonal()
    assert found.tolist() == pytest.approx([probability] * classes)


@pytest.mark.parametrize("scale", [5.0, 30.0])
def test_min_loss_is_that_of_perfect_centres(scale: float) -> None:
    classifier = NormFace(6, 6, scale=scale).double()
    classifier.load_state_dict({"weight": simplex(6)})
    loss = float(classifier(simplex(6), torch.arange(6)).detach())
    assert min_loss(6, scale) == pytest.approx(loss)
    torch.manual_seed(0)
    for _ in range(20):
        x = torch.randn(6, 6, dtype=torch.float64)
        classifier.load_state_dict({"weight": x})
        assert classifier(x, torch.arange(6)) > min_loss(6, scale)


@pytest.mark.parametrize("classes", [2, 3, 5, 12])
def test_max_margin_is_what_the_best_centres_leave(classes: int) -> None:
    def gap(centres: torch.Tensor) -> float:
        unit = centres / centres.norm(dim=1, keepdim=True)
        pairs = combinations(range(classes), 2)
        return 1 - max(float(unit[i] @ unit[j]) for i, j in pairs)

    assert max_margin(classes, classes) == pytest.approx(gap(simplex(classes)))
    turn = torch.arange(classes, dtype=torch.float64) * 2 * math.pi / classes
    circle = torch.stack([turn.cos(), turn.sin()], 1)
    assert max_margin(classes, 2) == pytest.approx(gap(circle))


def test_bounds_of_few_classes() -> None:
    assert (min_scale(1, 0.9), min_loss(1, 3.0), max_margin(1, 2)) == (0.0, 0.0, 2.0)
    assert min_scale(2, 0.1) == 0.0
    assert max_margin(3, 1) == 0.0
    assert max_margin(2, 1) == 2.0


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: min_scale(0, 0.5), "num_classes must be at least 1, got 0"),
    (lambda: min_scale(9, 1.0), "between 0 and 1, got 1.0"),
    (lambda: max_margin(9, 0), "dim must be at least 1, got 0"),
    (lambda: min_loss(9, 0.0), "scale must be above 0 and finite, got 0.0"),
    (lambda: NormFace(10, 4, scale=-1.0), "scale must be above 0 and finite, got -1.0"),
    (lambda: NormFace(85_742, 4, scale=8.0), "scale 8.0 is too small for 85742 classes: below 11"),
    (lambda: COCO(10, 4, scale=0.1), "scale 0.1 is too small for 10 classes"),
    (lambda: COCO(10, 4, centroids="mean"), "'learned' or 'batch', got 'mean'"),  # type: ignore[arg-type]
    (lambda: CosFace(10, 2), "between 0 and 0.191 for 10 classes in 2 dimensions, got 0.35"),
    (lambda: CosFace(10, 4, margin=-0.1), "got -0.1"),
    (lambda: CosFace(10, 4, margin=float("nan")), "got nan"),
    (lambda: GBCosFace(10, 4, margin=0.6), "between 0 and 1.111 .* got 1.2"),
    (lambda: GBCosFace(10, 4, alpha=1.5), "alpha must be between 0 and 1, got 1.5"),
    (lambda: GBCosFace(10, 4, gamma=-1), "gamma must be between 0 and 1, got -1"),
    (lambda: GBCosFace(10, 4, boundary_range=(0.7, 0.5)), r"must rise, got \(0.7, 0.5\)"),
    (lambda: ArcFace(10, 4, margin=28.6), "between 0 and π/2 radians, got 28.6"),
    (lambda: CombinedMargin(10, 4, m1=0.0), "m1 must be above 0 and finite, got 0.0"),
    (lambda: CombinedMargin(10, 4, m2=2.0), "radians, got 2.0"),
    (lambda: CombinedMargin(10, 4, m3=2.0), "got 2.0"),
    (lambda: ProxyNCA(10, 4, temperature=0), "temperature must be above 0 and finite, got 0"),
    (lambda: ProxyAnchor(10, 4, scale=-1.0), "scale must be above 0 and finite, got -1.0"),
    (lambda: ProxyAnchor(10, 4, margin=1.5), "margin must be between 0 and 1, got 1.5"),
    (lambda: SubCenterArcFace(10, 4, sub_centers=0), "sub_centers must be at least 1, got 0"),
    (lambda: SubCenterArcFace(10, 4, margin=28.6), "between 0 and π/2 radians, got 28.6"),
    (lambda: AdaFace(10, 4, margin=28.6), "between 0 and π/2 radians, got 28.6"),
    (lambda: AdaFace(10, 4, h=-1), "h must be 0 or above and finite, got -1"),
    (lambda: AdaFace(10, 4, alpha=2), "alpha must be between 0 and 1, got 2"),
    (lambda: LSoftmax(10, 4, margin=0), "margin must be at least 1, got 0"),
    (lambda: Annealing(gamma=-0.1), "gamma must be 0 or above and finite, got -0.1"),
]


@pytest.mark.parametrize(("make", "says"), BAD)
def test_settings_out_of_range_are_described(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_margin_on_the_multiple_must_be_whole_and_of_use() -> None:
    with pytest.raises(TypeError, match=r"an integer of at least 1, got 1.35"):
        ASoftmax(10, 4, margin=1.35)  # type: ignore[arg-type]
    for kind in (LSoftmax, ASoftmax):
        with pytest.raises(ValueError, match="margin must be at most 100, got 1000000"):
            kind(10, 4, margin=10**20)
        with pytest.raises(TypeError, match="annealing must be an Annealing or None, got 5"):
            kind(10, 4, annealing=5)  # type: ignore[arg-type]
        loss = kind(3, 4, margin=100, annealing=None)(torch.randn(6, 4), [0, 1, 2, 0, 1, 2])
        assert loss.isfinite()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (0.5, r"boundary_range must be a pair \(lo, hi\), got 0.5"),
        (("a", "b"), "each of boundary_range must be a number, got the string 'a'"),
    ],
)
def test_a_boundary_has_two_ends(given: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        GBCosFace(10, 4, boundary_range=given)


@pytest.mark.parametrize(
    "kind",
    [
        ArcFace,
        CosFace,
        NormFace,
        GBCosFace,
        CombinedMargin,
        ProxyAnchor,
        SubCenterArcFace,
        AdaFace,
    ],
)
def test_a_head_on_cosines_needs_a_scale(kind: Callable[..., Any]) -> None:
    """None would leave embeddings their length, which is another loss."""
    with pytest.raises(TypeError, match="scale must be a number, got None"):
        kind(10, 4, scale=None)


@pytest.mark.parametrize(
    ("kind", "iteration", "share"),
    [
        (ASoftmax, 1, 1000 / 1.12),
        (ASoftmax, 3, 1000 / 1.36),
        (LSoftmax, 2, 1000 / 1.00005**35),
    ],
)
def test_each_training_step_is_one_iteration_of_the_annealing(
    kind: type[LSoftmax], iteration: int, share: float
) -> None:
    classifier = kind(3, 4)
    x, labels = torch.randn(2, 4), torch.tensor([0, 1])
    for _ in range(iteration):
        classifier(x, labels)
    classifier.eval()(x, labels)
    assert classifier.annealed == pytest.approx(share)
    restored = kind(3, 4)
    restored.load_state_dict(classifier.state_dict())
    assert restored.annealed == pytest.approx(share)


def test_annealing_ends_at_its_minimum() -> None:
    assert Annealing().at(10_000_000) == 5
    late = ASoftmax(3, 4, annealing=Annealing(base=0, minimum=0))
    whole = ASoftmax(3, 4, annealing=None)
    theta = torch.linspace(0, 3, 50)
    torch.testing.assert_close(late.target_logit(theta), whole.target_logit(theta))
