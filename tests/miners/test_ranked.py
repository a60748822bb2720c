from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import chisquare

from metricface.distances import Euclidean
from metricface.miners import BatchHardMiner, RankedMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import distance_matrix, ranked

ranges = st.tuples(st.integers(0, 3), st.integers(1, 4)).map(lambda t: (t[0], t[0] + t[1]))


@given(batches(max_size=16), ranges, ranges)
@settings(deadline=None, max_examples=120)
def test_agrees_with_plain_loops(
    batch: Batch, positive_rank: tuple[int, int], negative_rank: tuple[int, int]
) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    mined = RankedMiner(positive_rank, negative_rank)(*batch.arguments, **batch.keywords)
    found = list(zip(*(t.tolist() for t in mined), strict=True))
    assert set(found) == ranked(d, batch.layout, positive_rank, negative_rank)
    assert len(found) == len(set(found))


@given(batches(max_size=16), ranges, ranges, st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_draws_come_from_the_ranks(
    batch: Batch, positive_rank: tuple[int, int], negative_rank: tuple[int, int], per_anchor: int
) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    inside = ranked(d, batch.layout, positive_rank, negative_rank)
    miner = RankedMiner(positive_rank, negative_rank, temperature=0.3, per_anchor=per_anchor)
    mined = miner(*batch.arguments, **batch.keywords)
    found = list(zip(*(t.tolist() for t in mined), strict=True))
    assert set(found) <= inside
    assert len(found) == per_anchor * len({a for a, _, _ in inside})


def test_rank_zero_is_batch_hard() -> None:
    x, labels = draw_rows(30, 5, 0), torch.arange(30) // 3
    ours, hard = RankedMiner()(x, labels), BatchHardMiner()(x, labels)
    assert all(torch.equal(a, b) for a, b in zip(ours, hard, strict=True))


def test_draws_follow_the_softmax_of_the_distances() -> None:
    """Chi-square over 5,000 equal anchors; one seed of 10,000 would fail."""
    ref = draw_rows(12, 3, 0)
    labels = torch.tensor([0] * 5 + [1] * 7)
    distance = Euclidean(normalize=False)
    miner = RankedMiner((0, 4), (1, 6), temperature=0.7, distance=distance, seed=2)
    anchors = draw_rows(1, 3, 9)
    mined = miner(anchors.expand(5000, -1), torch.zeros(5000, dtype=torch.int64), ref, labels)
    d = distance.pairwise(anchors, ref)[0].numpy()
    for drawn, ranks, sign in (
        (mined.positive, np.argsort(-d[:5])[:4], 1),
        (mined.negative, 5 + np.argsort(d[5:])[1:6], -1),
    ):
        counts = np.bincount(drawn.numpy(), minlength=12)
        assert counts[ranks].sum() == 5000
        assert chisquare(counts[ranks], 5000 * softmax(sign * d[ranks] / 0.7)).pvalue > 1e-4


@pytest.mark.parametrize("temperature", [1e-30, 1e-38, 1e-40, 1e-45])
@pytest.mark.parametrize("length", [1.0, 1e6])
def test_near_zero_temperature_the_hardest_is_drawn(temperature: float, length: float) -> None:
    """Where a distance in units of the temperature is beyond float32."""
    x, labels = (draw_rows(12, 4, 0) * length).float(), torch.arange(12) // 4
    distance = Euclidean(normalize=False)
    drawn = RankedMiner((0, 3), (0, 8), temperature=temperature, distance=distance)(x, labels)
    hardest = BatchHardMiner(distance=distance)(x, labels)
    assert all(torch.equal(a, b) for a, b in zip(drawn, hardest, strict=True))


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"positive_rank": (1, 1)}, r"positive_rank must be 0 <= lo < hi, got \(1, 1\)"),
        ({"negative_rank": (-1, 1)}, "negative_rank must be at least 0, got -1"),
        ({"temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
        ({"per_anchor": 0}, "got 0"),
    ],
)
def test_bad_settings_are_described(keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RankedMiner(**keywords)


@pytest.mark.parametrize(
    ("ranks", "says"),
    [
        (3, r"positive_rank must be a pair \(lo, hi\), got 3"),
        ((0, 1, 2), r"a pair \(lo, hi\), got tuple"),
        ("01", r"a pair \(lo, hi\), got the string '01'"),
        ((0, 0.5), "each of positive_rank must be an integer of at least 0, got 0.5"),
    ],
)
def test_what_is_no_range_of_ranks_is_described(ranks: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        RankedMiner(ranks)
