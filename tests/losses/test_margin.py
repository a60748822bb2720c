from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml

from metricface.distances import Cosine, Euclidean
from metricface.losses import MarginLoss
from metricface.miners import BatchAllMiner, BatchHardMiner, DistanceWeightedMiner
from metricface.types import Pairs, Triplets
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.losses import margin_loss, margin_terms
from tests.oracles.mining import distance_matrix

X, LABELS = draw_rows(12, 4, 0), torch.arange(12) // 3
BETAS = torch.linspace(0.6, 1.4, 6, dtype=torch.float64)


@given(batches(), st.booleans(), st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=80)
def test_all_pairs_agree_with_plain_loops(batch: Batch, per_class: bool, nu: float) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "euclidean")
    positive, negative = list(batch.layout.pairs()), list(batch.layout.impostors())
    loss = MarginLoss(0.25, 0.9, num_classes=6 if per_class else None, nu=nu).double()
    if per_class:
        loss.load_state_dict({"beta": BETAS})
    betas = [float(BETAS[y]) if per_class else 0.9 for y in batch.labels]
    pos, neg = margin_terms(d, positive, negative, betas, 0.25)
    embeddings, labels, ref_emb, ref_labels = batch.arguments
    value = loss(embeddings, labels, None, ref_emb, ref_labels, **batch.keywords)
    expected = margin_loss(pos, neg, positive, betas, nu)
    # 0.9 has no exact float32, in which β is made before the module becomes double.
    assert float(value.detach()) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    loss.reduction = "none"
    terms = loss(embeddings, labels, None, ref_emb, ref_labels, **batch.keywords)
    assert terms.tolist() == pytest.approx(pos + neg, rel=1e-6, abs=1e-6)


@given(batches(references=False), st.booleans())
@settings(deadline=None, max_examples=40)
def test_mined_pairs_take_the_boundary_of_their_anchor(batch: Batch, as_pairs: bool) -> None:
    a, p, n = BatchHardMiner()(*batch.arguments, **batch.keywords)
    mined = Pairs(a, p, a, n) if as_pairs else Triplets(a, p, n)
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "euclidean")
    positive = list(zip(a.tolist(), p.tolist(), strict=True))
    negative = list(zip(a.tolist(), n.tolist(), strict=True))
    loss = MarginLoss(num_classes=6, nu=0.3).double()
    loss.load_state_dict({"beta": BETAS})
    betas = [float(BETAS[y]) for y in batch.labels]
    expected = margin_loss(*margin_terms(d, positive, negative, betas, 0.2), positive, betas, 0.3)
    value = loss(batch.embeddings, batch.arguments[1], mined)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("num_classes", [None, 4])
@pytest.mark.parametrize("indices", [None, BatchHardMiner()(X, LABELS)], ids=["all", "mined"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradcheck_of_embeddings_and_boundary(
    num_classes: int | None, indices: Any, reduction: Any
) -> None:
    loss = MarginLoss(num_classes=num_classes, nu=0.2, reduction=reduction).double()
    x = X.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda e, b: loss(e, LABELS, indices), (x, loss.beta))


def test_the_boundary_settles_between_genuine_and_impostor_pairs() -> None:
    """Genuine pairs at 0, impostors at √2: too low a boundary is pushed up, too high one down."""
    x, labels = torch.eye(4)[[0, 0, 1, 1, 2, 2, 3, 3]], torch.arange(8) // 2
    for start in (0.05, 1.9):
        loss = MarginLoss(beta=start)
        optimizer = torch.optim.SGD(loss.parameter_groups(lr=0.05))
        for _ in range(60):
            optimizer.zero_grad()
            value = loss(x, labels)
            value.backward()
            optimizer.step()
        assert 0.2 <= float(loss.beta.detach()) <= 2**0.5 - 0.2
        assert value == 0


def test_only_boundaries_of_classes_in_the_batch_have_gradients() -> None:
    loss = MarginLoss(num_classes=6, beta=0.1)
    loss(X, LABELS).backward()
    assert loss.beta.grad is not None
    assert (loss.beta.grad[:4] != 0).all()
    assert (loss.beta.grad[4:] == 0).all()


def test_nu_presses_the_boundary_down() -> None:
    plain, pressed = MarginLoss(), MarginLoss(nu=0.5)
    plain(X, LABELS).backward()
    pressed(X, LABELS).backward()
    assert plain.beta.grad is not None
    assert pressed.beta.grad is not None
    assert pressed.beta.grad > plain.beta.grad


def test_a_fixed_boundary_is_a_buffer() -> None:
    fixed = MarginLoss(learn_beta=False)
    assert list(fixed.parameters()) == []
    assert fixed.parameter_groups(lr=0.1) == []
    assert "beta" in fixed.state_dict()
    (group,) = MarginLoss().parameter_groups(lr=0.1)
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("num_classes", [None, 4])
def test_it_is_theirs_on_triplets(num_classes: int | None) -> None:
    triplets = BatchAllMiner(float("inf"))(X, LABELS)
    ours = MarginLoss(num_classes=num_classes).double()
    theirs = pml.MarginLoss(num_classes=num_classes, learn_beta=True)
    x = X.clone().requires_grad_()
    mine, their = ours(x, LABELS, triplets), theirs(x, LABELS, triplets)
    torch.testing.assert_close(mine, their, rtol=1e-6, atol=0)
    for one, other in zip(
        torch.autograd.grad(mine, (x, ours.beta)),
        torch.autograd.grad(their, (x, theirs.beta)),
        strict=True,
    ):
        torch.testing.assert_close(one.flatten(), other.flatten().double(), rtol=1e-5, atol=1e-7)


def test_it_trains_with_its_own_miner_inside() -> None:
    torch.manual_seed(0)
    x = torch.nn.Parameter(torch.randn(12, 8))
    loss = MarginLoss(miner=DistanceWeightedMiner(), distance=Euclidean())
    groups = [{"params": [x], "lr": 0.5}, *loss.parameter_groups(lr=0.01)]
    optimizer = torch.optim.SGD(groups)
    for _ in range(80):
        optimizer.zero_grad()
        loss(x, LABELS).backward()
        optimizer.step()
    d = Euclidean().pairwise(x.detach())
    same = LABELS[:, None] == LABELS
    assert d[same].max() < d[~same].min()


def test_half_precision_gives_the_float32_loss() -> None:
    loss = MarginLoss(num_classes=4)
    low = X.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(low, LABELS)
    assert value.dtype == torch.float32
    assert value == loss(low.float(), LABELS)


def test_boundaries_of_classes_need_class_numbers() -> None:
    loss = MarginLoss(num_classes=3)
    with pytest.raises(ValueError, match="needs labels, also with indices"):
        loss(X, None, BatchHardMiner()(X, LABELS))
    with pytest.raises(ValueError, match="from 0 to 2, got 3 in row 9 of 12"):
        loss(X, LABELS)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"margin": -0.1}, "margin must be 0 or above and finite, got -0.1"),
        ({"beta": 0.0}, "beta must be above 0 and finite, got 0.0"),
        ({"nu": float("inf")}, "nu must be 0 or above and finite, got inf"),
        ({"num_classes": 0}, "at least 1 or None, got 0"),
        ({"nu": 0.1, "learn_beta": False}, "nu presses a learned beta down, got nu=0.1 with"),
        ({"distance": Cosine(), "reduction": "average"}, "got 'average'"),
    ],
)
def test_bad_settings_are_described(keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MarginLoss(**keywords)
