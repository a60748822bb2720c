from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.losses import ContrastiveLoss
from metricface.miners import BatchHardMiner
from metricface.types import Reduction
from tests.layouts import Batch, batches
from tests.oracles.mining import contrastive_terms, distance_matrix, reduced

FORMS: list[dict[str, Any]] = [
    {"form": "hadsell", "margin": 1.0},
    {"form": "hadsell", "margin": 0.3},
    {"form": "linear", "margin": 0.7, "positive_margin": 0.1},
    {"form": "linear", "margin": 1.4},
]
forms = st.sampled_from(FORMS)
reductions = st.sampled_from(["mean", "nonzero", "sum"])


@given(batches(), forms, reductions)
@settings(deadline=None, max_examples=120)
def test_all_pairs_agree_with_plain_loops(
    batch: Batch, form: dict[str, Any], reduction: Reduction
) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "euclidean")
    layout = batch.layout
    positive, negative = contrastive_terms(
        d, list(layout.pairs()), list(layout.impostors()), **form
    )
    embeddings, labels, ref_emb, ref_labels = batch.arguments
    loss = ContrastiveLoss(**form, reduction=reduction)
    value = loss(embeddings, labels, None, ref_emb, ref_labels, **batch.keywords)
    expected = reduced(positive, reduction) + reduced(negative, reduction)
    assert float(value) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    terms = ContrastiveLoss(**form, reduction="none")(
        embeddings, labels, None, ref_emb, ref_labels, **batch.keywords
    )
    assert terms.tolist() == pytest.approx(positive + negative, rel=1e-6, abs=1e-6)


@given(batches(), forms)
@settings(deadline=None, max_examples=60)
def test_a_triplet_is_one_pair_of_each_kind(batch: Batch, form: dict[str, Any]) -> None:
    mined = BatchHardMiner()(*batch.arguments, **batch.keywords)
    a, p, n = (t.tolist() for t in mined)
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "euclidean")
    positive, negative = contrastive_terms(
        d, list(zip(a, p, strict=True)), list(zip(a, n, strict=True)), **form
    )
    value = ContrastiveLoss(**form, reduction="sum")(batch.embeddings, None, mined, batch.ref_emb)
    assert float(value) == pytest.approx(sum(positive) + sum(negative), rel=1e-7, abs=1e-9)


def test_pairs_beyond_the_margin_have_no_gradient() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    loss = ContrastiveLoss(margin=1.0)(x, [0, 1])
    assert loss == 0
    assert (torch.autograd.grad(loss, x)[0] == 0).all()


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"margin": 0.0}, "margin must be above 0 and finite, got 0.0"),
        ({"form": "quadratic"}, "'hadsell' or 'linear', got 'quadratic'"),
        ({"positive_margin": 0.1}, "belongs to the linear form"),
        ({"form": "linear", "positive_margin": -1.0}, "got -1.0"),
    ],
)
def test_bad_settings_are_described(keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ContrastiveLoss(**keywords)
