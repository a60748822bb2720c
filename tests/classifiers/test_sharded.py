"""One process alone: the head itself, its samples, how its weights are drawn, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricface.classifiers import (
    COCO,
    ArcFace,
    Classifier,
    NormFace,
    ProxyAnchor,
    ShardedClassifier,
    SubCenterArcFace,
)
from metricface.classifiers.class_sampling import sampled_classes
from metricface.classifiers.class_shard import drawn_rows
from tests.cases import CLASSIFIERS
from tests.layouts import draw_rows
from tests.live_bytes import peak_mib

X, LABELS = draw_rows(6, 4, 0), torch.tensor([0, 1, 2, 3, 4, 4])
REFUSED = ("COCO, batch centroids", "Proxy-Anchor")
HEADS = {name: make for name, make in CLASSIFIERS.items() if name not in REFUSED}


def seeded(make: Callable[[], Any]) -> Any:
    torch.default_generator.manual_seed(5)
    return make()


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_without_a_process_group_it_is_the_head_itself(make: Callable[..., Classifier]) -> None:
    one, ours = (seeded(lambda: make(7, 4)).double() for _ in range(2))
    for step in range(3):
        x, z = (draw_rows(6, 4, step).requires_grad_() for _ in range(2))
        right, value = one(x, LABELS), ShardedClassifier(ours)(z, LABELS)
        assert value.item() == pytest.approx(right.item(), rel=1e-13)
        expected = torch.autograd.grad(right, [x, *one.parameters()])
        found = torch.autograd.grad(value, [z, *ours.parameters()])
        for gradient, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-13)
    assert str(one.state_dict()) == str(ours.state_dict())


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_half_precision_and_autocast_are_those_of_the_head(
    make: Callable[..., Classifier],
) -> None:
    one, ours = (seeded(lambda: make(7, 4)) for _ in range(2))
    x = X.to(torch.bfloat16)
    assert ShardedClassifier(ours)(x, LABELS).item() == pytest.approx(one(x, LABELS).item())
    with torch.autocast("cpu", torch.bfloat16):
        right, value = one(X.float(), LABELS), ShardedClassifier(ours)(X.float(), LABELS)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(right.item(), rel=0.02)


@pytest.mark.parametrize("classes", [1, 3, 4095, 4096, 4097, 8191, 8195, 12_288])
@pytest.mark.parametrize("dim", [1, 3, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_drawn_by_pieces_as_they_are_at_once(
    classes: int, dim: int, dtype: torch.dtype
) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        whole = seeded(lambda: ArcFace(classes, dim)) if classes > 1 else None
        after = torch.rand(3)
        for own in (range(classes // 3, classes), range(classes // 2), range(classes)):
            rows = seeded(partial(drawn_rows, classes, dim, own))
            assert torch.equal(torch.rand(3), after) or whole is None
            if whole is not None:
                assert torch.equal(rows, whole.weight.detach()[own.start : own.stop])
    finally:
        torch.set_default_dtype(before)


def test_of_the_other_rows_few_are_there_at_a_time() -> None:
    half = 50_000 * 16 * 4 / 2**20
    assert half <= peak_mib(lambda: drawn_rows(100_000, 16, range(50_000))) < 1.5 * half


def test_a_head_of_the_meta_device_begins_as_it_would_have() -> None:
    def make() -> ShardedClassifier:
        with torch.device("meta"):
            head = NormFace(50, 4, scale=20.0, learn_scale=True)
        return ShardedClassifier(head)

    whole, drawn = seeded(lambda: NormFace(50, 4, scale=20.0, learn_scale=True)), seeded(make).head
    assert str(whole.state_dict()) == str(drawn.state_dict())
    assert [p.requires_grad for p in drawn.parameters()] == [True, True]


def test_samples_are_a_pure_function_and_take_each_class_as_often() -> None:
    present, own = torch.tensor([105, 130, 7]), range(100, 200)
    taken = [sampled_classes(present, own, 30, seed=1, step=step) for step in range(400)]
    assert all(len(each) == 30 and (each.diff() > 0).all() for each in taken)
    assert all({5, 30} <= {*each.tolist()} for each in taken)
    torch.rand(5)
    assert torch.equal(taken[7], sampled_classes(present, own, 30, seed=1, step=7))
    counts = torch.bincount(torch.cat(taken), minlength=100).double()
    others = torch.cat([counts[:5], counts[6:30], counts[31:]])
    # 28 of 98, 400 times: 114 ± 9
    assert others.min() > 70
    assert others.max() < 160
    other = sampled_classes(present, own, 30, seed=2, step=7)
    assert not torch.equal(taken[7], other)


def test_all_classes_of_the_batch_are_taken_even_if_they_are_more() -> None:
    assert sampled_classes(torch.tensor([3, 1, 3, 0]), range(5), 2, 0, 1).tolist() == [0, 1, 3]
    assert sampled_classes(torch.tensor([9]), range(5), 0, 0, 1).tolist() == []


@pytest.mark.parametrize("name", [name for name in HEADS if "L-Softmax" not in name])
def test_a_sample_never_leaves_a_class_alone(name: str) -> None:
    classifier = ShardedClassifier(HEADS[name](20, 4), sample_rate=0.1)
    assert classifier(X[:1], LABELS[:1]).isfinite()
    assert classifier(X[:0], LABELS[:0]) == 0
    assert ShardedClassifier(HEADS[name](1, 4), sample_rate=0.1)(X[:1], LABELS[:1]) == 0
    for value in classifier.head.state_dict().values():
        assert not isinstance(value, Tensor) or value.isfinite().all()
    with pytest.raises(ValueError, match="leaves fewer than two of 20 classes"):
        ShardedClassifier(HEADS[name](20, 4), sample_rate=0.09)


def test_any_optimizer_sees_zeros_where_nothing_was_sampled() -> None:
    classifier = ShardedClassifier(ArcFace(40, 4, scale=8.0), sample_rate=0.25)
    before = classifier.head.weight.detach().clone()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1)
    classifier(X.float(), LABELS).backward()
    optimizer.step()
    moved = (classifier.head.weight != before).any(1)
    assert moved.sum() == 10
    assert moved[LABELS].all()


@pytest.mark.parametrize("make", [partial(ArcFace, scale=8.0), CLASSIFIERS["softmax"]])
def test_a_state_goes_into_the_plain_head_and_back(make: Callable[..., Classifier]) -> None:
    classifier, plain = ShardedClassifier(make(7, 4)), make(7, 4)
    plain.load_state_dict(classifier.head.state_dict())
    assert plain(X, LABELS).item() == pytest.approx(classifier(X, LABELS).item(), rel=1e-6)
    other = ShardedClassifier(make(7, 4))
    other.head.load_state_dict(plain.state_dict())
    assert other(X, LABELS) == classifier(X, LABELS)


class _OwnForward(ArcFace):
    def forward(self, embeddings: Tensor, labels: Any) -> Tensor:
        return super().forward(embeddings, labels) * 2


def test_what_does_not_come_apart_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r'COCO\(centroids="batch"\).*GlobalBatchLoss'):
        ShardedClassifier(COCO(5, 4, centroids="batch"))
    with pytest.raises(ValueError, match=r"ProxyAnchor has a forward of its own.*GlobalBatchLoss"):
        ShardedClassifier(ProxyAnchor(5, 4))
    with torch.device("meta"):
        several = SubCenterArcFace(5, 4)
    with pytest.raises(ValueError, match="sub-centres of SubCenterArcFace cannot be drawn"):
        ShardedClassifier(several)
    with pytest.raises(ValueError, match="_OwnForward has a forward of its own"):
        ShardedClassifier(_OwnForward(5, 4))
    two_each = ArcFace(5, 4)
    two_each.weight = nn.Parameter(torch.rand(10, 4))
    with pytest.raises(ValueError, match="ArcFace has not one row of weights for each class"):
        ShardedClassifier(two_each)
    with pytest.raises(ValueError, match="no one number"):
        ShardedClassifier(ArcFace(5, 4, reduction="none"))
    with pytest.raises(TypeError, match="must be a classifier of metricface, got Linear"):
        ShardedClassifier(nn.Linear(5, 4))  # type: ignore[arg-type]
    for rate in (0, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="sample_rate must be above 0 and at most 1"):
            ShardedClassifier(ArcFace(5, 4), sample_rate=rate)
    for seed in (-1, 2**63):
        with pytest.raises(ValueError, match="seed must be"):
            ShardedClassifier(ArcFace(5, 4), seed=seed)


def test_one_process_hears_what_the_head_says() -> None:
    classifier = ShardedClassifier(ArcFace(5, 4))
    with pytest.raises(ValueError, match=r"^labels must be class numbers from 0 to 4, got 5"):
        classifier(X, LABELS + 1)
    with pytest.raises(TypeError, match="labels must be class numbers"):
        classifier(X, list("abcdef"))
