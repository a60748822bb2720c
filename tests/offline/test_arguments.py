"""What arrives at the offline search and is no number or out of range is said to be so."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from metricface.offline import hard_pairs, identity_neighbours, nearest_impostors

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = [0, 1, 2, 3] * 3
INDEXES: Any = ("exact", "hnsw")


@pytest.mark.parametrize("bad", [True, 1.5, 2.0, float("nan"), "3", None])
def test_counts_are_integers(bad: Any) -> None:
    for index in INDEXES:
        with pytest.raises(TypeError, match="k must be an integer of at least 1, got"):
            nearest_impostors(X, Y, bad, index=index)
    with pytest.raises(TypeError, match="k must be an integer of at least 1, got"):
        identity_neighbours(X, Y, bad)
    with pytest.raises(TypeError, match="seed must be an integer of at least 0, got"):
        identity_neighbours(X, Y, 1, by="sample", seed=bad)
    with pytest.raises(TypeError, match="positives must be an integer of at least 1, got"):
        hard_pairs(X, Y, positives=bad)
    with pytest.raises(TypeError, match="negatives must be an integer of at least 1, got"):
        hard_pairs(X, Y, negatives=bad)
    if bad is not None:
        with pytest.raises(TypeError, match="effort must be an integer of at least 1 or None"):
            nearest_impostors(X, Y, 1, index="hnsw", effort=bad)


def test_counts_out_of_range() -> None:
    for bad in (0, -1):
        with pytest.raises(ValueError, match=f"k must be at least 1, got {bad}"):
            nearest_impostors(X, Y, bad)
        with pytest.raises(ValueError, match=f"k must be at least 1, got {bad}"):
            identity_neighbours(X, Y, bad)
    for index in INDEXES:  # nine impostors each; more than there are is no error
        found = nearest_impostors(X, Y, 100, index=index)
        assert ((found.indices >= 0).sum(axis=1) == 9).all()
        assert np.isinf(found.distances[:, 9:]).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, True, "0.1"])
def test_a_bound_that_passes_over_everyone_is_refused(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="near_duplicate must be "):
        nearest_impostors(X, Y, 2, near_duplicate=bad)
    with pytest.raises((TypeError, ValueError), match="near_duplicate must be "):
        hard_pairs(X, Y, near_duplicate=bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -0.1, True, "0.5"])
def test_a_relative_margin_is_above_zero(bad: Any) -> None:
    for search in (partial(nearest_impostors, X, Y, 2), partial(hard_pairs, X, Y)):
        with pytest.raises((TypeError, ValueError), match="relative_margin must be "):
            search(relative_margin=bad)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (0.2, r"margin must be a pair \(lo, hi\), got 0.2"),
        ((0.1, 0.2, 0.3), r"margin must be a pair \(lo, hi\), got tuple"),
        ((0.1, "0.2"), "each of margin must be a number, got the string '0.2'"),
        ((0.1, None), "each of margin must be a number, got None"),
        ((0.1, float("nan")), "with lo < hi"),
        ((0.2, 0.1), "with lo < hi"),
    ],
)
def test_a_margin_is_a_range(bad: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        nearest_impostors(X, Y, 2, margin=bad)
    assert (nearest_impostors(X, Y, 2, margin=(-9, float("inf"))).indices >= 0).all()


def test_parameters_and_results_of_a_network_are_embeddings() -> None:
    expected = nearest_impostors(X, Y, 2)
    for x in (torch.nn.Parameter(X.clone()), X.clone().requires_grad_() * 1, X.numpy()):
        np.testing.assert_array_equal(nearest_impostors(x, Y, 2).indices, expected.indices)
        assert hard_pairs(x, Y).negative.tolist() == hard_pairs(X, Y).negative.tolist()


def test_sparse_meta_and_narrow_embeddings_are_said() -> None:
    for index in INDEXES:
        with pytest.raises(TypeError, match="embeddings must be a dense tensor, got layout"):
            nearest_impostors(X.to_sparse(), Y, 2, index=index)
        with pytest.raises(ValueError, match="embeddings must hold values, got a tensor on the m"):
            nearest_impostors(X.to("meta"), Y, 2, index=index)
        with pytest.raises(ValueError, match=r"embeddings have no columns: shape \(12, 0\)"):
            nearest_impostors(X[:, :0], Y, 2, index=index)
