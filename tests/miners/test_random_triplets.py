from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from metricface.miners import RandomMiner
from tests.layouts import Batch, batches


@given(batches(), st.integers(1, 3))
@settings(deadline=None, max_examples=80)
def test_every_anchor_that_can_has_its_number_of_triplets(batch: Batch, per_anchor: int) -> None:
    mined = RandomMiner(per_anchor)(*batch.arguments, **batch.keywords)
    layout = batch.layout
    usable = [a for a in range(layout.b) if layout.positives[a] and layout.negatives[a]]
    assert Counter(mined.anchor.tolist()) == dict.fromkeys(usable, per_anchor)


def test_positives_and_negatives_are_uniform_and_independent() -> None:
    """Chi-square over all 3 × 4 combinations of one anchor; one seed of 10,000 would fail."""
    ref_labels = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    anchors, zeros = torch.zeros(1500, 1), torch.zeros(1500, dtype=torch.int64)
    miner = RandomMiner(per_anchor=2, seed=11)
    drawn: Counter[tuple[int, int]] = Counter()
    for _ in range(2):
        mined = miner(anchors, zeros, torch.zeros(7, 1), ref_labels)
        drawn.update(zip(mined.positive.tolist(), mined.negative.tolist(), strict=True))
    cells = [(p, n) for p in (0, 2, 5) for n in (1, 3, 4, 6)]
    assert set(drawn) == set(cells)
    assert chisquare([drawn[cell] for cell in cells]).pvalue > 1e-4


def test_per_anchor_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="per_anchor must be at least 1, got 0"):
        RandomMiner(0)


def test_a_seed_that_is_no_integer_is_refused() -> None:
    with pytest.raises(TypeError, match=r"got 1\.5"):
        RandomMiner(seed=1.5)  # type: ignore[arg-type]
