from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu

from metricface.types import Pairs, Triplets, as_pairs, as_triplets, label_array, ragged


def test_tuples_are_plain_tuples_to_others() -> None:
    one = torch.tensor([1])
    a, p, n = Triplets(one, one + 1, one + 2)
    assert (int(a), int(p), int(n)) == (1, 2, 3)
    assert len(Pairs(one, one, one, one)) == 4


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=8), st.data())
@settings(deadline=None, max_examples=60)
def test_joining_pairs_agrees_with_pytorch_metric_learning(
    positives: list[tuple[int, int]], data: st.DataObject
) -> None:
    pair = st.tuples(st.integers(0, 4), st.integers(0, 9))
    negatives = data.draw(st.lists(pair, max_size=8))
    ap, p = torch.tensor(positives, dtype=torch.int64).reshape(-1, 2).T
    an, n = torch.tensor(negatives, dtype=torch.int64).reshape(-1, 2).T
    ours = as_triplets((ap, p, an, n))
    theirs = lmu.convert_to_triplets((ap, p, an, n), torch.zeros(5), torch.zeros(10))
    assert sorted(zip(*(t.tolist() for t in ours), strict=True)) == sorted(
        zip(*(t.tolist() for t in theirs), strict=True)
    )


def test_triplets_become_one_pair_of_each_kind() -> None:
    t = Triplets(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([2, 3]))
    pairs = as_pairs(t)
    assert pairs.anchor_pos.tolist() == pairs.anchor_neg.tolist() == [0, 0]
    assert (pairs.positive.tolist(), pairs.negative.tolist()) == ([1, 1], [2, 3])


@pytest.mark.parametrize(
    ("indices", "error", "says"),
    [
        ((torch.tensor([0]),) * 2, ValueError, "got 2 tensors"),
        ((torch.tensor([0.0]),) * 3, TypeError, "float32"),
        ((torch.tensor([True]),) * 3, TypeError, "bool"),
        ((torch.tensor([[0]]),) * 3, ValueError, r"shape \(1, 1\)"),
        ((torch.tensor([0]), torch.tensor([0, 1]), torch.tensor([0])), ValueError, "1, 2, 1"),
        (([0], [1], [2]), TypeError, "list"),
        (torch.zeros(3, 4), TypeError, r"got one Tensor of shape \(3, 4\)"),
        (5, TypeError, "got int"),
    ],
)
def test_bad_indices_are_described(indices: Any, error: type[Exception], says: str) -> None:
    for convert in (as_pairs, as_triplets):
        with pytest.raises(error, match=says):
            convert(indices)


@given(st.lists(st.integers(0, 5), max_size=10))
@settings(deadline=None, max_examples=50)
def test_ragged_counts_rows_and_places(count: list[int]) -> None:
    row, within = ragged(torch.tensor(count, dtype=torch.int64))
    expected = [(r, w) for r, c in enumerate(count) for w in range(c)]
    assert list(zip(row.tolist(), within.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    "labels",
    [
        [3, 1, 3],
        (3, 1, 3),
        np.array([3, 1, 3], dtype=np.int16),
        np.array([3, 1, 3], dtype=object),
        torch.tensor([3, 1, 3], dtype=torch.uint8),
        pd.Series([3, 1, 3], index=[9, 8, 7]),
    ],
)
def test_integer_labels_from_anything(labels: Any) -> None:
    assert label_array(labels).tolist() == [3, 1, 3]


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a"],
        np.array(["b", "a"]),
        np.array(["b", "a"], dtype=object),
        pd.Series(["b", "a"]),
        pd.Series(["b", "a"], dtype="category"),
    ],
)
def test_string_labels_from_anything(labels: Any) -> None:
    assert label_array(labels).tolist() == ["b", "a"]


def test_integers_beyond_64_bits_stay_exact() -> None:
    big = [2**64 + 1, 2**64, -1]
    assert label_array(big).tolist() == big


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ([1, "a"], TypeError, "got int, str"),
        ([1.5], TypeError, "got float"),
        (None, TypeError, "labels must be integers or strings, got None"),
        (
            Triplets(*(torch.tensor([0, 1]),) * 3),
            TypeError,
            "got 3 tensors; mined indices come after the labels",
        ),
        (torch.rand(3), TypeError, "float32"),
        (torch.zeros(2, 2, dtype=torch.int64), ValueError, r"shape \(2, 2\)"),
        (pd.Series([1.0, None]), TypeError, "float64"),
    ],
)
def test_bad_labels_are_described(labels: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        label_array(labels)
