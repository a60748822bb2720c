"""Losses that look at all distances of an anchor, against plain loops and other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning import miners as pml_miners
from sklearn.metrics import average_precision_score

from metricface.losses import (
    CircleLoss,
    EmbeddingLoss,
    InfoNCELoss,
    LiftedStructureLoss,
    MultiSimilarityLoss,
    NCALoss,
    NPairLoss,
    SigmoidPairLoss,
    SmoothAPLoss,
    SupConLoss,
)
from metricface.miners import BatchHardMiner, MultiSimilarityMiner
from metricface.types import Pairs
from tests.layouts import Batch, batches, draw_rows
from tests.oracles import rows
from tests.oracles.mining import distance_matrix, reduced


class Case(NamedTuple):
    """A loss, and the terms of one anchor from its distances of a kind."""

    make: Callable[..., EmbeddingLoss]
    terms: Callable[[Sequence[float], Sequence[float]], list[float]]
    kind: str = "cosine"


CASES = {
    "SupCon": Case(SupConLoss, partial(rows.supcon, temperature=0.1)),
    "InfoNCE": Case(InfoNCELoss, partial(rows.info_nce, temperature=0.07)),
    "InfoNCE, learned": Case(
        partial(InfoNCELoss, 0.5, learn_temperature=True), partial(rows.info_nce, temperature=0.5)
    ),
    "sigmoid": Case(SigmoidPairLoss, partial(rows.sigmoid_pairs, scale=10, bias=-10)),
    "multi-similarity": Case(
        MultiSimilarityLoss, partial(rows.multi_similarity, alpha=2, beta=50, base=0.5)
    ),
    "circle": Case(CircleLoss, partial(rows.circle, margin=0.4, scale=80)),
    "lifted": Case(LiftedStructureLoss, partial(rows.lifted, margin=1), "euclidean"),
    "NCA": Case(partial(NCALoss, 3.0), partial(rows.nca, scale=3), "squared"),
    "smooth AP": Case(partial(SmoothAPLoss, 0.1), partial(rows.smooth_ap, temperature=0.1)),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

X, LABELS = draw_rows(8, 4, 0), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


@every_case
@pytest.mark.parametrize("reduction", ["mean", "nonzero", "sum", "none"])
@given(batch=batches())
@settings(deadline=None, max_examples=25)
def test_values_are_those_of_plain_loops(case: Case, reduction: str, batch: Batch) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), case.kind)
    layout = batch.layout
    terms = [
        case.terms([d[a, p] for p in layout.positives[a]], [d[a, n] for n in layout.negatives[a]])
        for a in range(layout.b)
    ]
    flat = [term for of_anchor in terms for term in of_anchor]
    embeddings, labels, *reference = batch.arguments
    loss = case.make(reduction=reduction)
    value = loss(embeddings, labels, None, *reference, **batch.keywords)
    if reduction == "none":
        assert sorted(value.tolist()) == pytest.approx(sorted(flat), rel=1e-5, abs=1e-5)
        return
    expected = reduced(flat, reduction)
    if case.make is SigmoidPairLoss and reduction == "mean":
        expected = sum(flat) / max(layout.b, 1)
    assert value.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@every_case
def test_mined_pairs_count_once_and_give_the_same_as_labels(case: Case) -> None:
    loss = case.make()
    same = LABELS[:, None] == LABELS
    genuine = (same & ~torch.eye(8, dtype=torch.bool)).nonzero(as_tuple=True)
    pairs = Pairs(*genuine, *(~same).nonzero(as_tuple=True))
    torch.testing.assert_close(loss(X, None, pairs), loss(X, LABELS))
    if case.make is not SigmoidPairLoss:
        twice = Pairs(*(torch.cat([each, each]) for each in pairs))
        torch.testing.assert_close(loss(X, None, twice), loss(X, LABELS))


#: Ours beside theirs at the same settings.
THEIRS: dict[str, tuple[EmbeddingLoss, Any]] = {
    "SupCon": (SupConLoss(0.2), pml.SupConLoss(0.2)),
    "InfoNCE": (InfoNCELoss(0.3), pml.NTXentLoss(0.3)),
    "multi-similarity": (MultiSimilarityLoss(3, 20, 0.4), pml.MultiSimilarityLoss(3, 20, 0.4)),
    "circle": (CircleLoss(0.25, 30.0), pml.CircleLoss(0.25, 30)),
    "lifted": (LiftedStructureLoss(0.8), pml.GeneralizedLiftedStructureLoss(0.8)),
    "NCA": (NCALoss(5.0), pml.NCALoss(5)),
}
#: Labels without an identity of one image: with these theirs are looked at below.
PAIRED = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])


@pytest.mark.parametrize("name", THEIRS)
def test_value_and_gradient_are_those_of_pytorch_metric_learning(name: str) -> None:
    ours, theirs = THEIRS[name]
    x = X.clone().requires_grad_()
    values = ours(x, PAIRED), theirs(x, PAIRED)
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-7)
    grads = [torch.autograd.grad(value, x)[0] for value in values]
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_multi_similarity_on_mined_pairs_is_theirs() -> None:
    mined = MultiSimilarityMiner(0.1)(X, LABELS)
    theirs = pml.MultiSimilarityLoss()(X, LABELS, pml_miners.MultiSimilarityMiner(0.1)(X, LABELS))
    torch.testing.assert_close(MultiSimilarityLoss()(X, LABELS, mined), theirs)


def test_clip_is_the_symmetric_form_with_references() -> None:
    images, texts = draw_rows(6, 4, 1), draw_rows(6, 4, 2)
    own = torch.arange(6)
    logits = F.normalize(images) @ F.normalize(texts).T / 0.07
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    loss = InfoNCELoss(0.07, symmetric=True)
    torch.testing.assert_close(loss(images, own, None, texts, own), expected)
    matches = torch.eye(6, dtype=torch.bool)
    torch.testing.assert_close(loss(images, matches, None, texts), expected)


def test_n_pairs_are_a_cross_entropy_of_inner_products() -> None:
    anchors, positives, own = draw_rows(5, 4, 1), draw_rows(5, 4, 2), torch.arange(5)
    expected = F.cross_entropy(anchors @ positives.T, own)
    torch.testing.assert_close(NPairLoss()(anchors, own, None, positives, own), expected)
    in_blocks = NPairLoss(block_bytes=1)(anchors, own, None, positives, own)
    torch.testing.assert_close(in_blocks, expected)
    triplets = BatchHardMiner()(X, LABELS)
    a, p, n = triplets
    terms = F.softplus((X[a] * X[n]).sum(1) - (X[a] * X[p]).sum(1))
    torch.testing.assert_close(NPairLoss()(X, LABELS, triplets), terms.mean())


def test_siglip_is_the_sum_over_all_pairs_per_anchor() -> None:
    images, texts, own = draw_rows(6, 4, 1), draw_rows(6, 4, 2), torch.arange(6)
    logits = 10 * F.normalize(images) @ F.normalize(texts).T - 10
    expected = -F.logsigmoid((2 * torch.eye(6) - 1) * logits).sum() / 6
    loss = SigmoidPairLoss()(images, own, None, texts, own)
    torch.testing.assert_close(loss, expected.to(loss.dtype))


def test_learned_settings_are_trained_and_have_a_group_of_their_own() -> None:
    for loss, count in ((InfoNCELoss(learn_temperature=True), 1), (SigmoidPairLoss(), 2)):
        for block_bytes in (1, 2**27):  # each anchor by itself, and all together
            loss.block_bytes = block_bytes
            grads = torch.autograd.grad(loss(X, LABELS), list(loss.parameters()))
            assert all(grad.isfinite() and grad != 0 for grad in grads)
        (group,) = loss.parameter_groups(lr=0.1)
        assert len(group["params"]) == count
        assert group["weight_decay"] == 0.0
    assert InfoNCELoss().parameter_groups(lr=0.1) == []
    assert SigmoidPairLoss(learn=False).parameter_groups(lr=0.1) == []


def test_a_cold_softmax_still_pulls_a_hard_pair_where_theirs_does_not() -> None:
    """At τ = 0.01 the term is 100; theirs takes the logarithm of a rounded 0 and stops."""
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.01]], requires_grad=True)
    pulls = []
    for loss in (InfoNCELoss(0.01), pml.NTXentLoss(0.01)):
        (grad,) = torch.autograd.grad(loss(x, torch.tensor([0, 0, 1])), x)
        pulls.append(float(grad[1].norm()))
    assert pulls[0] == pytest.approx(50, rel=0.01)  # of two positive pairs one is that wrong
    assert pulls[1] < 0.01


def test_what_has_nothing_to_compare_is_zero_where_theirs_is_not() -> None:
    alone, together = torch.arange(8), torch.zeros(8, dtype=torch.int64)
    assert NCALoss()(X, alone) == 0
    assert pml.NCALoss()(X, alone).isnan()
    for labels in (alone, together):
        assert LiftedStructureLoss()(X, labels) == 0
        assert pml.GeneralizedLiftedStructureLoss()(X, labels) > 0.1


def test_an_average_precision_with_unequal_identities_which_theirs_refuses() -> None:
    assert SmoothAPLoss()(X, LABELS).isfinite()
    with pytest.raises(ValueError, match="same number of elements"):
        pml.SmoothAPLoss()(X, LABELS)


def test_smooth_ap_becomes_average_precision_as_it_cools() -> None:
    d = distance_matrix(X.numpy(), X.numpy(), "cosine")
    scores = []
    for a in range(8):
        others = [b for b in range(8) if b != a]
        same = [bool(LABELS[a] == LABELS[b]) for b in others]
        if any(same):
            scores.append(average_precision_score(same, [-d[a, b] for b in others]))
    assert float(SmoothAPLoss(1e-5)(X, LABELS)) == pytest.approx(1 - np.mean(scores), abs=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SupConLoss(0), "temperature must be above 0 and finite, got 0"),
        (lambda: InfoNCELoss(float("nan")), "temperature must be above 0 and finite, got nan"),
        (lambda: SigmoidPairLoss(-1), "scale must be above 0 and finite, got -1"),
        (lambda: MultiSimilarityLoss(0), "alpha must be above 0 and finite, got 0"),
        (lambda: CircleLoss(1.5), "margin must be between 0 and 1, got 1.5"),
        (lambda: LiftedStructureLoss(-1), "margin must be 0 or above"),
        (lambda: NCALoss(True), "scale"),
        (lambda: SmoothAPLoss(-0.1), "temperature must be above 0 and finite, got -0.1"),
        (lambda: InfoNCELoss(symmetric=True)(X, LABELS), "needs ref_emb"),
    ],
)
def test_bad_settings_are_described(make: Callable[[], object], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        make()
