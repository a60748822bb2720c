from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from metricface.distances import Euclidean, SquaredEuclidean
from metricface.miners import BatchHardMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import batch_hard, distance_matrix


@given(batches(max_size=16))
@settings(deadline=None, max_examples=150)
def test_agrees_with_plain_loops(batch: Batch) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    mined = BatchHardMiner()(*batch.arguments, **batch.keywords)
    found = list(zip(*(t.tolist() for t in mined), strict=True))
    assert set(found) == batch_hard(d, batch.layout)
    assert len(found) == len(set(found))


def test_any_rising_function_of_the_distance_picks_the_same() -> None:
    x, labels = draw_rows(30, 5, 0), torch.arange(30) // 3
    squared = BatchHardMiner(distance=SquaredEuclidean())(x, labels)
    plain = BatchHardMiner(distance=Euclidean())(x, labels)
    assert [t.tolist() for t in squared] == [t.tolist() for t in plain]


def test_of_equal_distances_the_first_reference_is_taken() -> None:
    mined = BatchHardMiner()(torch.ones(6, 3), [0, 0, 0, 1, 1, 1])
    assert mined.positive.tolist() == [1, 0, 0, 4, 3, 3]
    assert mined.negative.tolist() == [3, 3, 3, 0, 0, 0]


@pytest.mark.parametrize("norm", [1.0, 100.0])
@pytest.mark.parametrize("spread", [1e-3, 1e-4])
def test_near_collapse_it_agrees_with_float64(norm: float, spread: float) -> None:
    """Measured share of anchors; at a spread of 1e-4 the inputs themselves are that coarse."""
    point = torch.nn.functional.normalize(draw_rows(1, 128, 0))
    x = (norm * (point + spread * draw_rows(512, 128, 1) / 128**0.5)).float()
    labels = torch.arange(512) // 4
    miner = BatchHardMiner(distance=SquaredEuclidean(normalize=False))
    single, double = miner(x, labels), miner(x.double(), labels)
    agree = (single.positive == double.positive) & (single.negative == double.negative)
    assert agree.double().mean() >= 0.99
