from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from metricface.distances import Euclidean, SquaredEuclidean
from metricface.miners import SemiHardMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import distance_matrix, farthest_negative, semi_hard_choices

margins = st.sampled_from([0.05, 0.2, 1.0])


@given(batches(max_size=14), margins, st.booleans(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_hardest_agrees_with_plain_loops(
    batch: Batch, margin: float, bounded: bool, include_hard: bool
) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    choices = semi_hard_choices(d, batch.layout, margin, bounded=bounded, include_hard=include_hard)
    miner = SemiHardMiner(margin, "hardest", bounded, include_hard=include_hard)
    mined = miner(*batch.arguments, **batch.keywords)
    expected = {(a, p, inside[0]) for (a, p), inside in choices.items() if inside}
    assert set(zip(*(t.tolist() for t in mined), strict=True)) == expected
    assert len(mined.anchor) == len(expected)


@given(batches(max_size=14), margins, st.booleans(), st.booleans())
@settings(deadline=None, max_examples=100)
def test_random_takes_one_that_qualifies_wherever_there_is_one(
    batch: Batch, margin: float, bounded: bool, include_hard: bool
) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    choices = semi_hard_choices(d, batch.layout, margin, bounded=bounded, include_hard=include_hard)
    miner = SemiHardMiner(margin, "random", bounded, include_hard=include_hard)
    mined = miner(*batch.arguments, **batch.keywords)
    found = list(zip(*(t.tolist() for t in mined), strict=True))
    assert {(a, p) for a, p, _ in found} == {pair for pair, inside in choices.items() if inside}
    assert all(n in choices[a, p] for a, p, n in found)


@given(batches(max_size=14))
@settings(deadline=None, max_examples=80)
def test_otherwise_the_easiest_gives_every_pair_a_negative(batch: Batch) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    choices = semi_hard_choices(d, batch.layout, bounded=False)
    miner = SemiHardMiner(bounded=False, otherwise="easiest")
    mined = miner(*batch.arguments, **batch.keywords)
    expected = set()
    for (a, p), inside in choices.items():
        n = inside[0] if inside else farthest_negative(d, batch.layout, a)
        if n is not None:
            expected.add((a, p, n))
    assert set(zip(*(t.tolist() for t in mined), strict=True)) == expected


def test_random_negatives_are_equally_likely() -> None:
    """Chi-square over 4 calls of 1,000 equal anchors; one seed of 10,000 would fail."""
    ref = draw_rows(40, 6, 3)
    anchors = ref[:1].expand(1000, -1) + 0.5 * ref[1]
    ref_labels = torch.tensor([0, *range(1, 40)])
    miner = SemiHardMiner(1.0, "random", seed=7)
    d = distance_matrix(anchors[:1].numpy(), ref.numpy())[0]
    inside = [n for n in range(1, 40) if d[0] < d[n] < d[0] + 1.0]
    assert len(inside) > 5
    drawn: Counter[int] = Counter()
    for _ in range(4):
        mined = miner(anchors, torch.zeros(1000, dtype=torch.int64), ref, ref_labels)
        drawn.update(mined.negative.tolist())
    assert set(drawn) == set(inside)
    assert chisquare([drawn[n] for n in inside]).pvalue > 1e-4


def test_pairs_of_one_anchor_draw_independently() -> None:
    x = torch.cat([torch.zeros(3, 2), draw_rows(20, 2, 0)])
    labels = torch.tensor([0, 0, 0, *range(1, 21)])
    miner = SemiHardMiner(100.0, "random", distance=SquaredEuclidean(normalize=False), seed=1)
    anchors, zeros = torch.zeros(500, 2), torch.zeros(500, dtype=torch.int64)
    negative = miner(anchors, zeros, x[1:], labels[1:]).negative.view(500, 2)
    same = int((negative[:, 0] == negative[:, 1]).sum())
    assert 5 <= same <= 55  # 25 expected of 1 in 20, standard deviation 4.9


def test_both_bounds_are_strict() -> None:
    x = torch.tensor([[0.0], [1.0], [-1.0], [2.0], [1.5]])
    distance = Euclidean(normalize=False)
    mined = SemiHardMiner(1.0, distance=distance)(x, [0, 0, 1, 2, 3])
    from_zero = mined.negative[(mined.anchor == 0)].tolist()
    assert from_zero == [4]  # at 1 is not beyond the positive, at 2 not within the margin
    without = SemiHardMiner(1.0, distance=distance)(x[:4], [0, 0, 1, 2])
    assert 0 not in without.anchor.tolist()


def test_it_is_the_squared_distance_that_is_compared() -> None:
    """D = 0.9 and 1.1 are within 0.25 of each other, D² = 0.81 and 1.21 are not."""
    x = torch.tensor([[0.0], [0.9], [1.1]])
    miner = SemiHardMiner(0.25, distance=SquaredEuclidean(normalize=False))
    assert 0 not in miner(x, [0, 0, 1]).anchor.tolist()
    plain = SemiHardMiner(0.25, distance=Euclidean(normalize=False))
    assert 0 in plain(x, [0, 0, 1]).anchor.tolist()


@pytest.mark.parametrize("negative", ["hardest", "random"])
def test_a_margin_that_rounding_swallows_leaves_no_band(negative: Any) -> None:
    """Above 2²² a float32 plus 0.2 is itself: no number is between a distance and the margin."""
    x = torch.tensor([[0.0], [4096.0], [1024.0], [5120.0]])
    miner = SemiHardMiner(0.2, negative, distance=SquaredEuclidean(normalize=False))
    assert 0 not in miner(x, [0, 0, 1, 2]).anchor.tolist()


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"margin": 0.0}, "margin must be above 0"),
        ({"margin": float("nan")}, "got nan"),
        ({"negative": "easy"}, "'hardest' or 'random', got 'easy'"),
        ({"otherwise": "drop"}, "'skip' or 'easiest', got 'drop'"),
    ],
)
def test_bad_settings_are_described(keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SemiHardMiner(**keywords)
