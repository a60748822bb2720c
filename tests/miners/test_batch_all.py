from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from metricface.miners import BatchAllMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import distance_matrix, violators


@given(batches(max_size=14), st.sampled_from([0.0, 0.2, 1.0, float("inf")]))
@settings(deadline=None, max_examples=120)
def test_agrees_with_plain_loops(batch: Batch, margin: float) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    mined = BatchAllMiner(margin)(*batch.arguments, **batch.keywords)
    found = list(zip(*(t.tolist() for t in mined), strict=True))
    assert set(found) == violators(d, batch.layout, margin)
    assert len(found) == len(set(found))


@given(batches(max_size=14), st.integers(1, 5))
@settings(deadline=None, max_examples=80)
def test_a_cap_keeps_as_many_as_it_can_of_each_anchor(batch: Batch, cap: int) -> None:
    every = BatchAllMiner(0.5)(*batch.arguments, **batch.keywords)
    some = BatchAllMiner(0.5, per_anchor=cap)(*batch.arguments, **batch.keywords)
    everything = set(zip(*(t.tolist() for t in every), strict=True))
    kept = list(zip(*(t.tolist() for t in some), strict=True))
    assert set(kept) <= everything
    assert len(kept) == len(set(kept))
    total = Counter(a for a, _, _ in everything)
    assert Counter(a for a, _, _ in kept) == {a: min(cap, n) for a, n in total.items()}


def test_each_violator_is_kept_with_the_same_probability() -> None:
    """Chi-square over 2,000 equal anchors; one seed of 10,000 would fail."""
    ref = draw_rows(9, 4, 0)
    anchors = ref[:1].expand(2000, -1)
    miner = BatchAllMiner(float("inf"), per_anchor=3, seed=5)
    mined = miner(
        anchors, torch.zeros(2000, dtype=torch.int64), ref, torch.tensor([0, 0] + [1] * 7)
    )
    drawn = Counter(zip(mined.positive.tolist(), mined.negative.tolist(), strict=True))
    assert len(drawn) == 14
    assert sum(drawn.values()) == 6000
    assert chisquare(list(drawn.values())).pvalue > 1e-4


def test_bad_settings_are_described() -> None:
    with pytest.raises(ValueError, match=r"got -0\.1"):
        BatchAllMiner(-0.1)
    with pytest.raises(ValueError, match="per_anchor must be at least 1 or None, got 0"):
        BatchAllMiner(per_anchor=0)
