"""What arrives at the evaluation and is no number, no rank, no embedding, is said to be so."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from metricface import evaluation as ev

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = [0, 1, 2, 3] * 3
PAIRS: dict[str, Any] = {
    "pairs": [(0, 4), (0, 1), (1, 5), (2, 3)],
    "same": [True, False, True, False],
}

ENTRIES: dict[str, Callable[..., Any]] = {
    "verification": lambda x, **more: ev.verification(x, Y, **{"folds": 2, "fars": (0.5,), **more}),
    "pairs": lambda x, **more: ev.verification(x, **PAIRS, **{"folds": 2, "fars": (0.5,), **more}),
    "retrieval": lambda x, **more: ev.retrieval(x, Y, **more),
    "identification": lambda x, **more: ev.identification(x, Y, copy(x), Y, **more),
    "class_distances": lambda x, **more: ev.class_distances(x, Y, **more),
    "dbscan": lambda x, **more: ev.clustering(x, Y, **{"threshold": 0.5, **more}),
    "kmeans": lambda x, **more: ev.clustering(x, Y, method="kmeans", **more),
    "hardest_pairs": lambda x, **more: ev.hardest_pairs(x, Y, **more),
    "mean_templates": lambda x, **more: ev.mean_templates(x, Y, **more),
}
NO_INTEGERS: tuple[Any, ...] = (True, 1.5, 2.0, float("nan"), "3")
NO_NUMBERS: tuple[Any, ...] = (True, "0.1")


@pytest.mark.parametrize("entry", ENTRIES)
def test_parameters_and_results_of_a_network_are_embeddings(entry: str) -> None:
    measured = ENTRIES[entry]
    expected = repr(measured(X))
    assert repr(measured(torch.nn.Parameter(X.clone()))) == expected
    assert repr(measured(X.clone().requires_grad_() * 1)) == expected
    assert repr(measured(X.numpy())) == expected


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (X > 0, "torch.bool"),
        (X.to(torch.complex64), "torch.complex64"),
        (X.int(), "torch.int32"),
        (X.tolist(), "list"),
        (X.numpy().astype(object), "object"),
        (X[:, 0], r"\(12,\)"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_embedding_is_said(entry: str, bad: Any, what: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"must .*{what}"):
        ENTRIES[entry](bad)


@pytest.mark.parametrize("entry", ENTRIES)
def test_embeddings_without_a_column_are_said(entry: str) -> None:
    with pytest.raises(ValueError, match=r"have no columns: shape \(12, 0\)"):
        ENTRIES[entry](X[:, :0])


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        *(("verification", name) for name in ("folds", "seed", "block")),
        *(("class_distances", name) for name in ("bins", "block")),
        *(("dbscan", name) for name in ("min_samples", "seed")),
        *(("kmeans", name) for name in ("clusters", "seed")),
        *(("hardest_pairs", name) for name in ("count", "block")),
    ],
)
def test_counts_are_integers(entry: str, name: str) -> None:
    for bad in NO_INTEGERS:
        with pytest.raises(TypeError, match=f"{name} must be an integer of at least ., got "):
            ENTRIES[entry](X, **{name: bad})
    with pytest.raises(
        ValueError, match=f"{name} must be (at least .|from 1 to 1,000,000), got -1"
    ):
        ENTRIES[entry](X, **{name: -1})
    assert repr(ENTRIES[entry](X, **{name: np.int64(2)})) == repr(ENTRIES[entry](X, **{name: 2}))


@pytest.mark.parametrize(("entry", "name"), [("retrieval", "ks"), ("identification", "ranks")])
def test_ranks_are_integers(entry: str, name: str) -> None:
    for bad in NO_INTEGERS:
        with pytest.raises(TypeError, match=f"each of {name} must be an integer of at least 1"):
            ENTRIES[entry](X, **{name: (1, bad)})
    for alone in (5, None, "15"):
        with pytest.raises(TypeError, match=f"{name} must be a sequence of ranks such as"):
            ENTRIES[entry](X, **{name: alone})
    found = ENTRIES[entry](X, **{name: np.array([1, 100])})
    assert list(getattr(found, "recall", None) or found.rank) == [1, 100]


@pytest.mark.parametrize(
    ("entry", "name"), [("verification", "fars"), ("identification", "false_alarms")]
)
def test_rates_are_numbers(entry: str, name: str) -> None:
    for bad in NO_NUMBERS:
        with pytest.raises(TypeError, match=f"each of {name} must be a number, got"):
            ENTRIES[entry](X, **{name: (bad,)})
    for bad in (0.0, 1.01, float("nan")):
        with pytest.raises(ValueError, match=rf"each of {name} must be in \(0, 1\], got {bad:g}"):
            ENTRIES[entry](X, **{name: (bad,)})
    with pytest.raises(TypeError, match=f"{name} must be a sequence of rates such as"):
        ENTRIES[entry](X, **{name: 0.1})


@pytest.mark.parametrize(("entry", "name"), [("class_distances", "upper"), ("dbscan", "threshold")])
def test_bounds_are_numbers(entry: str, name: str) -> None:
    for bad in (*NO_NUMBERS, float("nan"), float("inf"), -1.0):
        with pytest.raises((TypeError, ValueError), match=f"{name} must be "):
            ENTRIES[entry](X, **{name: bad})


def test_there_is_nothing_to_group() -> None:
    methods: list[dict[str, Any]] = [{"threshold": 0.5}, {"method": "kmeans"}]
    for method in methods:
        with pytest.raises(ValueError, match="there is no sample to group"):
            ev.clustering(X[:0], [], **method)
    with pytest.raises(ValueError, match="clusters=13 are more than the 12 samples"):
        ev.clustering(X, Y, method="kmeans", clusters=13)


def test_pairs_are_rows() -> None:
    for bad in ([("a", "b")], [(0, 1), (2,)]):
        with pytest.raises(TypeError, match="pairs must be rows of the embeddings, integers"):
            ev.verification(X, pairs=bad, same=[True] * len(bad), folds=2)  # type: ignore[arg-type]
    pairs, same = PAIRS["pairs"], PAIRS["same"]
    with pytest.raises(TypeError, match="same must be booleans"):
        ev.verification(X, pairs=pairs, same=[str(each) for each in same], folds=2)  # type: ignore[misc]


def test_pairs_and_flags_in_a_table_are_those_in_lists() -> None:
    """Its columns are read-only, and their names say nothing."""
    table = pd.DataFrame(PAIRS["pairs"], columns=[2, 5])
    flags = pd.Series(PAIRS["same"], index=[7, 8, 9, 7])
    expected = repr(ENTRIES["pairs"](X))
    read_only = table.to_numpy().copy()
    read_only.flags.writeable = False
    backwards = np.array(PAIRS["pairs"])[:, ::-1]
    for pairs in (table, table.to_numpy(), read_only, backwards):
        for same in (flags, flags.to_numpy()):
            found = ev.verification(X, pairs=pairs, same=same, folds=2, fars=(0.5,))
            assert repr(found) == expected


@pytest.mark.parametrize("entry", ENTRIES)
def test_sparse_and_meta_tensors_are_said(entry: str) -> None:
    with pytest.raises(TypeError, match=r"must be a dense tensor, got layout torch\.sparse_coo"):
        ENTRIES[entry](X.to_sparse())
    with pytest.raises(ValueError, match="must hold values, got a tensor on the meta device"):
        ENTRIES[entry](X.to("meta"))
