from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metricface.data import identity_folds, identity_split
from tests.oracles.data import largest_remainders

_labels = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


def _sides(labels: Sequence[Any], parts: Sequence[Any]) -> list[set[Any]]:
    return [{labels[i] for i in part} for part in parts]


@settings(deadline=None, max_examples=150)
@given(_labels, st.lists(st.integers(1, 100), min_size=1, max_size=4), st.integers(0, 9))
def test_parts_are_disjoint_and_of_the_right_size(
    labels: list[int], percent: list[int], seed: int
) -> None:
    assume(sum(percent) <= 100)
    fractions = [p / 100 for p in percent]
    counts = largest_remainders(percent, len(set(labels)))
    if 0 in counts:
        with pytest.raises(ValueError, match="leave a part empty"):
            identity_split(labels, fractions, seed)
        return
    parts = identity_split(labels, fractions, seed)
    sides = _sides(labels, parts)
    assert [len(side) for side in sides] == counts
    assert sum(counts) == len(set().union(*sides))
    for part, side in zip(parts, sides, strict=True):
        assert part.dtype == np.int64
        assert part.tolist() == [i for i, label in enumerate(labels) if label in side]


@pytest.mark.parametrize(
    ("fractions", "identities", "counts"),
    [
        ((0.6, 0.2, 0.2), 40, [24, 8, 8]),
        ((0.6, 0.2, 0.2), 7, [4, 2, 1]),
        ((0.7, 0.2, 0.1), 10, [7, 2, 1]),  # 0.7 + 0.2 + 0.1 falls short of 1 in binary
        ((1 / 3, 1 / 3, 1 / 3), 40, [14, 13, 13]),
        ((0.29, 0.71), 100, [29, 71]),
        ((0.05, 0.15, 0.8), 12, [1, 2, 9]),  # a tie: remainders .6, .8 and .6
        ((0.05, 0.1, 0.85), 56, [3, 6, 47]),
        ((0.5,), 5, [3]),
        ((1.0,), 3, [3]),
    ],
)
def test_counts(fractions: tuple[float, ...], identities: int, counts: list[int]) -> None:
    parts = identity_split(list(range(identities)), fractions)
    assert [len(part) for part in parts] == counts


def test_noise_of_binary_fractions_decides_no_tie() -> None:
    for first in range(5, 95, 5):
        for second in range(5, 100 - first, 5):
            percent = [first, second, 100 - first - second]
            for identities in (20, 28, 56):
                parts = identity_split(list(range(identities)), [p / 100 for p in percent])
                assert [len(part) for part in parts] == largest_remainders(percent, identities)


@settings(deadline=None, max_examples=50)
@given(st.permutations(list(range(12)) * 2), st.integers(0, 5))
def test_sides_follow_the_values_not_the_order(labels: list[int], seed: int) -> None:
    ordered = sorted(set(labels))
    assert _sides(labels, identity_split(labels, seed=seed)) == _sides(
        ordered, identity_split(ordered, seed=seed)
    )
    assert _sides(labels, identity_folds(labels, 3, seed)) == _sides(
        ordered, identity_folds(ordered, 3, seed)
    )


def test_every_kind_of_labels_gives_the_same_parts() -> None:
    numbers = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    expected = [part.tolist() for part in identity_split(numbers)]
    words = [f"person {n}" for n in numbers]
    kinds: list[Any] = [torch.tensor(numbers), np.array(numbers, np.uint8), pd.Series(numbers)]
    for labels in [*kinds, tuple(numbers), words, pd.Series(words)]:
        assert [part.tolist() for part in identity_split(labels)] == expected


def test_the_seed_matters_and_global_states_do_not() -> None:
    labels = list(range(30))
    splits = []
    for state in (1, 2):
        np.random.seed(state)  # noqa: NPY002
        torch.manual_seed(state)
        splits.append([part.tolist() for part in identity_split(labels, seed=4)])
        assert np.random.randint(1 << 30) == np.random.RandomState(state).randint(1 << 30)  # noqa: NPY002
    assert splits[0] == splits[1]
    assert splits[0] != [part.tolist() for part in identity_split(labels, seed=5)]
    folds = [np.concatenate(identity_folds(labels, seed=seed)).tolist() for seed in (4, 5)]
    assert folds[0] != folds[1]


@pytest.mark.parametrize(
    "fractions",
    [(), (0.5, 0.0), (0.5, -0.1), (0.8, 0.3), (float("nan"),), (float("inf"),)],
)
def test_bad_fractions(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions must be above 0 and sum to at most 1"):
        identity_split(list(range(10)), fractions)


def test_too_few_identities() -> None:
    with pytest.raises(ValueError, match="of 2 identities leave a part empty"):
        identity_split(["a", "b", "a"])
    with pytest.raises(ValueError, match="of 0 identities leave a part empty"):
        identity_split([])


@settings(deadline=None, max_examples=100)
@given(_labels, st.integers(2, 6), st.integers(0, 9))
def test_folds_cover_every_sample_once_with_identities_apart(
    labels: list[int], folds: int, seed: int
) -> None:
    assume(folds <= len(set(labels)))
    tests = identity_folds(labels, folds, seed)
    assert len(tests) == folds
    assert sorted(np.concatenate(tests).tolist()) == list(range(len(labels)))
    sides = _sides(labels, tests)
    assert sum(len(side) for side in sides) == len(set(labels))
    assert max(len(side) for side in sides) - min(len(side) for side in sides) <= 1
    assert all(fold.dtype == np.int64 and (np.diff(fold) > 0).all() for fold in tests)


@pytest.mark.parametrize("folds", [-1, 0, 1, 4])
def test_bad_numbers_of_folds(folds: int) -> None:
    with pytest.raises(ValueError, match=f"from 2 to the 3 identities, got {folds}"):
        identity_folds([1, 2, 3, 3], folds)
