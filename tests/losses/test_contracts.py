"""What every pair and triplet loss promises, checked for every row of the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricface.distances import Distance
from metricface.losses import (
    CircleLoss,
    EmbeddingLoss,
    InfoNCELoss,
    MarginLoss,
    SigmoidPairLoss,
    TripletLoss,
)
from metricface.miners import BatchHardMiner, RandomMiner
from metricface.types import Pairs, Triplets
from tests.cases import DISTANCES, LOSSES
from tests.layouts import Batch, batches, draw_rows
from tests.live_bytes import peak_mib

Make = Callable[..., EmbeddingLoss]
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)

X, LABELS = draw_rows(8, 4, 0), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
NOTHING = torch.empty(0, dtype=torch.int64)


def gradient(loss: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(loss, x)[0]


@every_loss
@pytest.mark.parametrize("labels", [[], [0], [0, 0, 0], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum"])
def test_gradients_are_finite_whatever_the_labels(
    make: Make, labels: list[int], reduction: str
) -> None:
    x = torch.ones(len(labels), 3, requires_grad=True)
    loss = make(reduction=reduction)(x, torch.tensor(labels, dtype=torch.int64))
    assert loss.shape == ()
    assert loss.isfinite()
    assert gradient(loss, x).isfinite().all()
    if len(labels) < 2:
        assert loss == 0


@every_loss
@pytest.mark.parametrize("indices", [Triplets(*(NOTHING,) * 3), Pairs(*(NOTHING,) * 4)], ids=len)
@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum"])
def test_nothing_mined_is_zero_with_zero_gradient(
    make: Make, indices: tuple[Tensor, ...], reduction: str
) -> None:
    x = X.clone().requires_grad_()
    loss = make(reduction=reduction)(x, LABELS, indices)
    assert loss == 0
    assert (gradient(loss, x) == 0).all()


@every_loss
@every_distance
@pytest.mark.parametrize("value", [0.0, 1.0], ids=["zero embeddings", "all alike"])
def test_gradients_are_finite_at_zero_distance(
    make: Make, distance: Distance, value: float
) -> None:
    for indices in (None, BatchHardMiner()(torch.full((8, 4), value), LABELS)):
        x = torch.full((8, 4), value, requires_grad=True)
        assert gradient(make(distance=distance)(x, LABELS, indices), x).isfinite().all()


@every_loss
@given(batch=batches(references=False), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_permuting_the_batch_leaves_the_loss(make: Make, batch: Batch, seed: int) -> None:
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(batch.labels)))
    labels = torch.tensor(batch.labels, dtype=torch.int64)
    torch.testing.assert_close(
        make()(batch.embeddings[order], labels[order]), make()(batch.embeddings, labels)
    )


@every_loss
@given(batch=batches())
@settings(deadline=None, max_examples=40)
def test_a_match_matrix_gives_the_loss_of_its_labels(make: Make, batch: Batch) -> None:
    others = batch.labels if batch.ref_labels is None else batch.ref_labels
    rows = [[a == b for b in others] for a in batch.labels]
    matrix = torch.tensor(rows, dtype=torch.bool).reshape(len(batch.labels), len(others))
    by_matrix = make()(batch.embeddings, matrix, None, batch.ref_emb, **batch.keywords)
    torch.testing.assert_close(by_matrix, whole(make(), batch))


def whole(loss: EmbeddingLoss, batch: Batch) -> Tensor:
    embeddings, labels, ref_emb, ref_labels = batch.arguments
    value: Tensor = loss(embeddings, labels, None, ref_emb, ref_labels, **batch.keywords)
    return value


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum"])
@given(batch=batches(), block_bytes=st.integers(1, 3000))
@settings(deadline=None, max_examples=15)
def test_block_size_changes_neither_value_nor_gradient(
    make: Make, reduction: str, batch: Batch, block_bytes: int
) -> None:
    x, labels, *reference = batch.arguments
    refs = [each for each in (x, reference[0]) if isinstance(each, Tensor)]
    found = []
    for size in (2**40, block_bytes):
        leaves = [each.clone().requires_grad_() for each in refs]
        ref_emb = leaves[1] if len(leaves) > 1 else None
        loss = make(reduction=reduction, block_bytes=size)
        value = loss(leaves[0], labels, None, ref_emb, reference[1], **batch.keywords)
        found.append([value, *torch.autograd.grad(value, leaves)])
        with torch.no_grad():
            torch.testing.assert_close(
                loss(leaves[0], labels, None, ref_emb, reference[1], **batch.keywords), value
            )
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    "make",
    [
        MarginLoss,
        partial(MarginLoss, num_classes=4, nu=0.1),
        partial(InfoNCELoss, learn_temperature=True),
        SigmoidPairLoss,
    ],
    ids=["beta", "betas", "temperature", "scale and bias"],
)
def test_block_size_does_not_change_the_gradient_of_what_a_loss_learns(make: Make) -> None:
    found = []
    for block_bytes in (2**40, 1):  # all anchors together, and each by itself
        loss = make(reduction="sum", block_bytes=block_bytes).double()
        found.append(torch.autograd.grad(loss(X, LABELS), list(loss.parameters())))
    assert all(grad.abs().sum() > 0 for grad in found[0])
    torch.testing.assert_close(found[0], found[1])


@every_loss
def test_references_receive_gradients_too(make: Make) -> None:
    x, ref = X.clone().requires_grad_(), draw_rows(6, 4, 9).requires_grad_()
    ref_labels = torch.tensor([0, 1, 2, 3, 0, 1])
    mined = BatchHardMiner()(x, LABELS, ref, ref_labels)
    for indices in (None, mined):
        loss = make(reduction="sum")(x, LABELS, indices, ref, ref_labels)
        for grad in torch.autograd.grad(loss, (x, ref)):
            assert grad.abs().sum() > 0


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum"])
def test_reductions_are_those_of_the_terms(make: Make, reduction: str) -> None:
    """All triplets by the exact sum, against the same triplets listed one by one."""
    terms = make(reduction="none")(X, LABELS)
    value = make(reduction=reduction)(X, LABELS)
    if "Contrastive" in type(make()).__name__:
        genuine = int((LABELS[:, None] == LABELS).sum()) - len(LABELS)
        kinds = [terms[:genuine], terms[genuine:]]
    else:
        kinds = [terms]
    per_anchor = isinstance(make(), SigmoidPairLoss)  # it divides by the anchors, as its paper does
    counts = {
        "sum": [1.0 for _ in kinds],
        "mean": [float(len(LABELS) if per_anchor else len(t)) for t in kinds],
        "nonzero": [float((t > 0).sum()) for t in kinds],
    }[reduction]
    expected = sum(float(t.sum()) / c for t, c in zip(kinds, counts, strict=True))
    assert float(value) == pytest.approx(expected, rel=1e-9)


@every_loss
@every_distance
@pytest.mark.parametrize("indices", [None, BatchHardMiner()(X, LABELS)], ids=["all", "mined"])
def test_gradcheck_in_double(
    make: Make, distance: Distance, indices: tuple[Tensor, ...] | None
) -> None:
    x = X.clone().requires_grad_()
    loss = make(distance=distance, reduction="sum")
    if isinstance(loss, CircleLoss):  # its pair weights are constants by definition
        return
    assert torch.autograd.gradcheck(lambda e: loss(e, LABELS, indices), (x,))


@every_loss
def test_memory_is_that_of_a_block(make: Make) -> None:
    """2,048² distances are 16 MiB, and a loss over all of them holds several such arrays."""
    if make().swap if isinstance(make(), TripletLoss) else False:
        return  # it lists every triplet
    x, labels = draw_rows(2048, 8, 0).float().requires_grad_(), torch.arange(2048) // 4
    loss = make(block_bytes=2 * 2**20)
    assert peak_mib(lambda: loss(x, labels).backward()) < 2 + 3


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_float32_loss(make: Make, dtype: torch.dtype) -> None:
    x = X.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = make()(x, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, make()(x.float(), LABELS), rtol=0, atol=0)
    assert gradient(loss, x).dtype == dtype
    assert make()(X, LABELS).dtype == torch.float64


@every_loss
def test_mining_inside_is_mining_outside(make: Make) -> None:
    inside = make(miner=BatchHardMiner())(X, LABELS)
    outside = make()(X, LABELS, BatchHardMiner()(X, LABELS))
    assert inside == outside


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum"])
def test_the_sums_of_parts_of_the_anchors_are_those_of_all(make: Make, reduction: str) -> None:
    loss, ids = make(reduction=reduction), torch.arange(8)
    parts = [
        loss.sums(X[part], LABELS[part], None, X, LABELS, ids=ids[part], ref_ids=ids)
        for part in (slice(3), slice(3, 3), slice(3, 8))
    ]
    for whole, *shares in zip(loss.sums(X, LABELS), *parts, strict=True):
        torch.testing.assert_close(sum(share.total for share in shares), whole.total)
        assert sum(int(share.terms) for share in shares) == whole.terms


@every_loss
def test_a_miners_state_is_in_the_losss_state(make: Make) -> None:
    loss, other = make(miner=RandomMiner(seed=1)), make(miner=RandomMiner(seed=2))
    loss(X, LABELS)
    other.load_state_dict(loss.state_dict())
    assert loss(X, LABELS) == other(X, LABELS)


@every_loss
def test_mined_indices_need_no_labels(make: Make) -> None:
    mined = BatchHardMiner()(X, LABELS)
    assert make()(X, None, mined) == make()(X, LABELS, mined)
    with pytest.raises(ValueError, match="needs labels"):
        make()(X, None)


@every_loss
def test_bad_batches_are_refused_with_what_arrived(make: Make) -> None:
    nan = X.clone()
    nan[3] = float("inf")
    with pytest.raises(ValueError, match="row 3 of 8"):
        make()(nan, LABELS)
    with pytest.raises(ValueError, match="8 embeddings came with 7 labels"):
        make()(X, LABELS[:7])
    with pytest.raises(ValueError, match="got 2 tensors"):
        make()(X, LABELS, (NOTHING, NOTHING))
    with pytest.raises(ValueError, match="got 'average'"):
        make(reduction="average")


@every_loss
@pytest.mark.parametrize(
    ("indices", "says"),
    [
        (([0, 8], [1, 1], [3, 3]), "anchor holds 8 in place 1, but embeddings have 8 rows"),
        (([0, 1], [-1, 1], [3, 3]), "positive holds -1 in place 0, but ref_emb has 5 rows"),
        (([0], [1], [5]), "negative holds 5 in place 0, but ref_emb has 5 rows"),
        (([], [], [], []), None),
        (([7], [4], [], []), None),
        (([9], [4], [], []), "anchor_pos holds 9 in place 0, but embeddings have 8 rows"),
        (([0], [4], [0, 1], [2, 2**40]), "negative holds 1099511627776 in place 1, but ref_emb"),
    ],
)
def test_indices_beyond_the_rows_are_refused_with_what_arrived(
    make: Make, indices: tuple[list[int], ...], says: str | None
) -> None:
    given = tuple(torch.tensor(part, dtype=torch.int64) for part in indices)
    if says is None:
        assert make()(X, LABELS, given, X[:5]).isfinite()
        return
    with pytest.raises(ValueError, match=says):
        make()(X, LABELS, given, X[:5])
    with pytest.raises(ValueError, match="embeddings have 3 rows"):
        make()(X[:3], LABELS[:3], given)


@every_loss
def test_indices_that_are_none_are_refused_with_what_arrived(make: Make) -> None:
    one = torch.tensor([0])
    with pytest.raises(TypeError, match=r"got one Tensor of shape \(8, 4\)"):
        make()(X, LABELS, X)
    with pytest.raises(TypeError, match="got BatchHardMiner"):
        make()(X, LABELS, BatchHardMiner())
    with pytest.raises(ValueError, match="indices are on meta, embeddings on cpu"):
        make()(X, LABELS, (one.to("meta"),) * 3)


@every_loss
@pytest.mark.parametrize("miner", ["semihard", BatchHardMiner, 3])
def test_a_miner_is_an_object_that_can_be_called(make: Make, miner: Any) -> None:
    with pytest.raises(TypeError, match="miner must be a miner such as BatchHardMiner"):
        make(miner=miner)


@every_loss
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_loss_of_the_cpu(make: Make) -> None:
    torch.testing.assert_close(make()(X.cuda(), LABELS.cuda()).cpu(), make()(X, LABELS))
