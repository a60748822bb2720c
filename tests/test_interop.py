"""Either library's objects in the other's loop, and agreement where the definitions coincide."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import reducers as pml_reducers
from torch import Tensor

from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.losses import ContrastiveLoss, EmbeddingLoss, SupConLoss, TripletLoss
from metricface.miners import BatchHardMiner, EasyPositiveMiner, SemiHardMiner
from tests.cases import LOSSES, MINERS, AnyMiner
from tests.layouts import draw_rows

X, LABELS = draw_rows(24, 6, 0), torch.arange(24) // 4
REF, REF_LABELS = draw_rows(30, 6, 1), torch.arange(30) % 7

THEIR_DISTANCES = [
    (SquaredEuclidean(), partial(pml_distances.LpDistance, power=2)),
    (Euclidean(), pml_distances.LpDistance),
    (Euclidean(normalize=False), partial(pml_distances.LpDistance, normalize_embeddings=False)),
]
THEIR_LOSSES = [
    pml_losses.TripletMarginLoss,
    pml_losses.ContrastiveLoss,
    partial(pml_losses.MarginLoss, num_classes=7),
]
THEIR_MINERS = [
    pml_miners.BatchHardMiner,
    pml_miners.TripletMarginMiner,
    pml_miners.MultiSimilarityMiner,
    pml_miners.DistanceWeightedMiner,
]


def as_set(indices: tuple[Tensor, ...]) -> set[tuple[int, ...]]:
    return set(zip(*(t.tolist() for t in indices), strict=True))


@pytest.mark.parametrize("make", MINERS.values(), ids=MINERS)
@pytest.mark.parametrize("their_loss", THEIR_LOSSES)
@pytest.mark.parametrize("with_references", [False, True])
def test_our_miners_feed_their_losses(
    make: Callable[..., AnyMiner], their_loss: Callable[[], Any], with_references: bool
) -> None:
    x, loss = X.clone().requires_grad_(), their_loss()
    refs = (REF, REF_LABELS) if with_references else (None, None)
    value = loss(x, LABELS, make()(x, LABELS, *refs), *refs)
    assert value > 0
    assert torch.autograd.grad(value, x)[0].abs().sum() > 0


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("their_miner", THEIR_MINERS)
@pytest.mark.parametrize("with_references", [False, True])
def test_their_miners_feed_our_losses(
    make: Callable[..., EmbeddingLoss], their_miner: Callable[[], Any], with_references: bool
) -> None:
    x = X.float().requires_grad_()
    refs = (REF.float(), REF_LABELS) if with_references else (None, None)
    outside = make()(x, LABELS, their_miner()(x, LABELS, *refs), *refs)
    assert outside > 0
    assert torch.autograd.grad(outside, x)[0].abs().sum() > 0
    inside = make(miner=pml_miners.BatchHardMiner())(x, LABELS, None, *refs)
    assert inside > 0


@pytest.mark.parametrize("make", MINERS.values(), ids=MINERS)
@pytest.mark.parametrize("their_loss", THEIR_LOSSES[:2])
def test_our_miners_work_inside_their_cross_batch_memory(
    make: Callable[..., AnyMiner], their_loss: Callable[[], Any]
) -> None:
    memory = pml_losses.CrossBatchMemory(their_loss(), 6, memory_size=40, miner=make())
    for seed in range(4):
        x = draw_rows(24, 6, seed).float().requires_grad_()
        value = memory(x, LABELS)
        assert value.isfinite()
        assert torch.autograd.grad(value, x)[0].isfinite().all()


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_our_losses_take_what_their_miners_find_in_references(
    make: Callable[..., EmbeddingLoss],
) -> None:
    pairs = pml_miners.MultiSimilarityMiner()(X, LABELS, REF, REF_LABELS)
    assert make()(X, LABELS, pairs, REF, REF_LABELS).isfinite()


@pytest.mark.parametrize(("ours", "theirs"), THEIR_DISTANCES)
def test_batch_hard_is_theirs(ours: Distance, theirs: Callable[[], Any]) -> None:
    """They take the largest distance for the hardest positive and the smallest for the negative."""
    mined = BatchHardMiner(distance=ours)(X, LABELS)
    assert as_set(mined) == as_set(pml_miners.BatchHardMiner(distance=theirs())(X, LABELS))
    refs = BatchHardMiner(distance=ours)(X, LABELS, REF, REF_LABELS)
    there = pml_miners.BatchHardMiner(distance=theirs())(X, LABELS, REF, REF_LABELS)
    assert as_set(refs) == as_set(there)


def test_the_batch_as_its_own_references_is_the_batch_in_both() -> None:
    same = SupConLoss()(X, LABELS, None, X, LABELS)
    assert same == SupConLoss()(X, LABELS)
    there = pml_losses.SupConLoss()(X, LABELS, ref_emb=X, ref_labels=LABELS)
    assert same == pytest.approx(there.item(), rel=1e-9)
    easy = EasyPositiveMiner()(X, LABELS, X, LABELS)
    assert (easy.anchor != easy.positive).all()


def test_semi_hard_is_the_nearest_of_theirs_where_the_distance_is_squared() -> None:
    """Theirs keeps every violator and by default compares plain distances; ours is FaceNet's."""
    squared = pml_distances.LpDistance(power=2)
    theirs = pml_miners.TripletMarginMiner(0.2, distance=squared, type_of_triplets="semihard")
    nearest: dict[tuple[int, int], tuple[float, int]] = {}
    d = SquaredEuclidean().pairwise(X)
    for a, p, n in as_set(theirs(X, LABELS)):
        nearest[a, p] = min(nearest.get((a, p), (9.0, -1)), (float(d[a, n]), n))
    expected = {(a, p, n) for (a, p), (_, n) in nearest.items()}
    assert as_set(SemiHardMiner(0.2)(X, LABELS)) == expected
    plain = pml_miners.TripletMarginMiner(0.2, type_of_triplets="semihard")
    assert as_set(plain(X, LABELS)) != as_set(theirs(X, LABELS))


@pytest.mark.parametrize(("ours", "theirs"), THEIR_DISTANCES)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("mined", [False, True])
def test_triplet_loss_is_theirs(
    ours: Distance, theirs: Callable[[], Any], swap: bool, mined: bool
) -> None:
    reducers = {"mean": pml_reducers.MeanReducer(), "nonzero": pml_reducers.AvgNonZeroReducer()}
    indices = BatchHardMiner()(X, LABELS) if mined else None
    for name, reducer in reducers.items():
        loss = TripletLoss(0.4, ours, name, swap)  # type: ignore[arg-type]
        their = pml_losses.TripletMarginLoss(0.4, swap, distance=theirs(), reducer=reducer)
        torch.testing.assert_close(loss(X, LABELS, indices), their(X, LABELS, indices))


def test_soft_triplet_loss_is_their_smooth_loss_without_margin() -> None:
    their = pml_losses.TripletMarginLoss(0.0, smooth_loss=True, reducer=pml_reducers.MeanReducer())
    ours = TripletLoss("soft", Euclidean())
    torch.testing.assert_close(ours(X, LABELS), their(X, LABELS))


@pytest.mark.parametrize("mined", [False, True])
def test_linear_contrastive_loss_is_theirs(mined: bool) -> None:
    their = pml_losses.ContrastiveLoss(pos_margin=0.3, neg_margin=1.1)
    ours = ContrastiveLoss(1.1, form="linear", positive_margin=0.3)
    indices = BatchHardMiner()(X, LABELS) if mined else None
    torch.testing.assert_close(ours(X, LABELS, indices), their(X, LABELS, indices))


def test_cosine_contrastive_loss_is_theirs_with_similarity_margins() -> None:
    their = pml_losses.ContrastiveLoss(0.9, 0.2, distance=pml_distances.CosineSimilarity())
    ours = ContrastiveLoss(0.8, form="linear", positive_margin=0.1, distance=Cosine())
    torch.testing.assert_close(ours(X, LABELS), their(X, LABELS))
