from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import miners as pml_miners

from metricface.miners import MultiSimilarityMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import distance_matrix, multi_similarity


@given(batches(max_size=14), st.sampled_from([0.0, 0.1, 0.5]))
@settings(deadline=None, max_examples=120)
def test_agrees_with_plain_loops(batch: Batch, epsilon: float) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "cosine")
    genuine, impostor = multi_similarity(d, batch.layout, epsilon)
    mined = MultiSimilarityMiner(epsilon)(*batch.arguments, **batch.keywords)
    assert set(zip(mined.anchor_pos.tolist(), mined.positive.tolist(), strict=True)) == genuine
    assert set(zip(mined.anchor_neg.tolist(), mined.negative.tolist(), strict=True)) == impostor


@given(batches(max_size=14), st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_a_cap_keeps_the_nearest(batch: Batch, cap: int) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "cosine")
    _, impostor = multi_similarity(d, batch.layout, 0.5)
    mined = MultiSimilarityMiner(0.5, per_anchor=cap)(*batch.arguments, **batch.keywords)
    expected = set()
    for a in range(batch.layout.b):
        of_a = sorted((n for b, n in impostor if b == a), key=lambda n: d[a, n])
        expected |= {(a, n) for n in of_a[:cap]}
    assert set(zip(mined.anchor_neg.tolist(), mined.negative.tolist(), strict=True)) == expected


def test_it_is_theirs() -> None:
    x, labels = draw_rows(30, 6, 0), torch.arange(30) // 3
    ours, theirs = (
        MultiSimilarityMiner(0.1)(x, labels),
        pml_miners.MultiSimilarityMiner(0.1)(x, labels),
    )
    for i in (0, 2):
        mine = set(zip(ours[i].tolist(), ours[i + 1].tolist(), strict=True))
        assert mine == set(zip(theirs[i].tolist(), theirs[i + 1].tolist(), strict=True))


def test_bad_settings_are_described() -> None:
    with pytest.raises(ValueError, match="epsilon must be 0 or above and finite, got -1"):
        MultiSimilarityMiner(-1)
    with pytest.raises(ValueError, match="per_anchor must be at least 1 or None, got 0"):
        MultiSimilarityMiner(per_anchor=0)
