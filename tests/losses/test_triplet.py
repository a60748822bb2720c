from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.losses import TripletLoss, all_triplets
from metricface.types import Reduction
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import distance_matrix, reduced, triplet_terms

KINDS: dict[str, type[Distance]] = {
    "squared": SquaredEuclidean,
    "euclidean": Euclidean,
    "cosine": Cosine,
}
margins = st.sampled_from([0.0, 0.2, 1.5, "soft"])
reductions = st.sampled_from(["mean", "nonzero", "sum"])


def call(loss: TripletLoss, batch: Batch, indices: tuple[Tensor, ...] | None = None) -> Tensor:
    embeddings, labels, ref_emb, ref_labels = batch.arguments
    value: Tensor = loss(embeddings, labels, indices, ref_emb, ref_labels, **batch.keywords)
    return value


@given(batches(), margins, reductions, st.sampled_from(list(KINDS)), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_all_triplets_agree_with_plain_loops(
    batch: Batch, margin: Any, reduction: Reduction, kind: str, normalize: bool, swap: bool
) -> None:
    x, y = batch.embeddings.numpy(), batch.reference.numpy()
    d = distance_matrix(x, y, kind, normalize=normalize)
    between = distance_matrix(y, y, kind, normalize=normalize) if swap else None
    terms = triplet_terms(d, list(batch.layout.triplets()), margin, between)
    loss = TripletLoss(margin, KINDS[kind](normalize=normalize), reduction, swap)
    assert float(call(loss, batch)) == pytest.approx(reduced(terms, reduction), rel=1e-7, abs=1e-9)


@given(batches(), margins, reductions, st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_mined_triplets_agree_with_plain_loops(
    batch: Batch, margin: Any, reduction: Reduction, swap: bool, seed: int
) -> None:
    every = list(batch.layout.triplets())
    if not every:
        return
    generator = torch.Generator().manual_seed(seed)
    chosen = [every[i] for i in torch.randint(len(every), (7,), generator=generator).tolist()]
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    between = distance_matrix(batch.reference.numpy(), batch.reference.numpy()) if swap else None
    indices = tuple(torch.tensor(chosen).T)
    value = call(TripletLoss(margin, reduction=reduction, swap=swap), batch, indices)
    expected = reduced(triplet_terms(d, chosen, margin, between), reduction)
    assert float(value) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum"])
@pytest.mark.parametrize("margin", [0.3, "soft"])
@pytest.mark.parametrize("positives", [3, 70])
def test_the_exact_sum_has_the_gradient_of_the_listed_triplets(
    reduction: Reduction, margin: Any, positives: int
) -> None:
    """70 positives take the bisection instead of the comparisons."""
    assert (positives > all_triplets._DENSE_POSITIVES) == (positives == 70)
    labels = torch.tensor([0] * (positives + 1) + [1, 1, 2, 3, 3, 3])
    x = draw_rows(len(labels), 4, 0).requires_grad_()
    loss = TripletLoss(margin, reduction=reduction)
    terms = TripletLoss(margin, reduction="none")(x, labels)
    count = {"sum": 1, "mean": len(terms), "nonzero": int((terms > 0).sum())}[reduction]
    expected = terms.sum() / count
    value = loss(x, labels)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        torch.autograd.grad(value, x)[0], torch.autograd.grad(expected, x)[0]
    )


def test_float32_sum_is_close_to_float64_at_batch_size() -> None:
    x, labels = draw_rows(256, 32, 0), torch.arange(256) // 4
    exact = TripletLoss(0.2)(x, labels)
    single = TripletLoss(0.2)(x.float(), labels)
    assert float(single) == pytest.approx(float(exact), rel=1e-5)


def test_no_memory_of_size_anchors_times_references_squared_is_taken() -> None:
    """Peak of what autograd keeps for 512 anchors: a few matrices, not 512 × 3 × 508 triplets."""
    x = draw_rows(512, 8, 0).float().requires_grad_()
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        TripletLoss(0.2)(x, torch.arange(512) // 4)
    assert kept < 4 * 512 * 512


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_soft_margin_is_finite_at_large_gaps(gap: float) -> None:
    far = abs(gap) ** 0.5
    x = torch.tensor([[0.0], [far if gap > 0 else 0.0], [0.0 if gap > 0 else far]])
    x.requires_grad_()
    loss = TripletLoss("soft", SquaredEuclidean(normalize=False))(x, [0, 0, 1])
    assert loss.isfinite()
    assert torch.autograd.grad(loss, x)[0].isfinite().all()


def test_swap_measures_from_the_nearer_of_anchor_and_positive() -> None:
    x = torch.tensor([[0.0], [1.0], [1.5]])
    one = tuple(torch.tensor([i]) for i in range(3))
    distance = Euclidean(normalize=False)
    assert float(TripletLoss(1.0, distance)(x, None, one)) == pytest.approx(0.5)
    assert float(TripletLoss(1.0, distance, swap=True)(x, None, one)) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("margin", "says"),
    [(-0.1, "got -0.1"), (float("inf"), "got inf"), (float("nan"), "nan"), ("hard", "got 'hard'")],
)
def test_bad_margins_are_described(margin: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TripletLoss(margin)


@pytest.mark.parametrize("apart", [1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("margin", [0.2, "soft"])
def test_beside_a_near_duplicate_the_gradient_is_still_right(apart: float, margin: Any) -> None:
    x = torch.nn.functional.normalize(draw_rows(12, 16, 0))
    x[1] = x[0] + apart * x[5]
    labels = torch.arange(12) // 3
    gradients = []
    for rows in (x, x.float()):
        leaf = rows.clone().requires_grad_()
        TripletLoss(margin, distance=Euclidean())(leaf, labels).backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad.double())
    # What is left is the rounding of the rows themselves, as large as a part of their distance.
    error = float((gradients[1] - gradients[0]).abs().max() / gradients[0].abs().max())
    assert error < 1e-6 / apart
