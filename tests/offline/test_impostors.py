"""Nearest impostors against a plain loop, exact and approximate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

import metricface.offline.approximate as approximate
import metricface.offline.impostors as impostors_module
from metricface.distances import Cosine, Euclidean, SquaredEuclidean, tiles
from metricface.offline import Neighbours, nearest_impostors
from tests.evaluation.samples import EXACT as PLAIN
from tests.evaluation.samples import LabelledSet, labelled_sets
from tests.oracles import offline as oracle


def _assert_nearest(found: Neighbours, expected: oracle.Found, x: npt.NDArray[Any]) -> None:
    """The distances are the oracle's; the rows are some of those at these distances."""
    for i, (distances, indices) in enumerate(zip(*found, strict=True)):
        allowed = expected[i]
        wanted = [d for d, _ in allowed[: len(distances)]]
        got = distances[indices >= 0]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
        named = {(round(d, 4), j) for d, j in allowed}
        assert {(round(float(d), 4), int(j)) for d, j in zip(got, indices, strict=False)} <= named
        assert len(set(indices[: len(got)].tolist())) == len(got)
        assert (indices[len(got) :] == -1).all()
        assert np.isinf(distances[len(got) :]).all()


@settings(deadline=None, max_examples=60)
@given(labelled_sets(), st.integers(1, 5))
def test_exact_is_the_plain_loop(sample: LabelledSet, k: int) -> None:
    x, labels = sample
    found = nearest_impostors(x, labels, k, distance=PLAIN)
    assert found.distances.shape == found.indices.shape == (len(x), k)
    _assert_nearest(found, oracle.impostors(x.astype(float), labels), x)


@settings(deadline=None, max_examples=40)
@given(
    labelled_sets(),
    st.sampled_from([(0.0, 9.5), (0.5, 4.5), (-2.5, 2.5)]),
    st.sampled_from([0.0, 1.5]),
)
def test_filters_are_the_plain_loops(
    sample: LabelledSet, margin: tuple[float, float], near: float
) -> None:
    x, labels = sample
    found = nearest_impostors(x, labels, 3, distance=PLAIN, margin=margin, near_duplicate=near)
    _assert_nearest(
        found, oracle.impostors(x.astype(float), labels, near_duplicate=near, margin=margin), x
    )


@settings(deadline=None, max_examples=40)
@given(
    labelled_sets(),
    st.sampled_from([0.5, 1.0, 1.25]),
    st.sampled_from([None, (-2.5, 4.5)]),
    st.sampled_from([0.0, 1.5]),
)
def test_the_relative_margin_is_the_plain_loops(
    sample: LabelledSet, share: float, margin: tuple[float, float] | None, near: float
) -> None:
    x, labels = sample
    bounds: dict[str, Any] = {"near_duplicate": near, "margin": margin, "relative_margin": share}
    found = nearest_impostors(x, labels, 3, distance=PLAIN, **bounds)
    _assert_nearest(found, oracle.impostors(x.astype(float), labels, **bounds), x)


def _clustered(
    count: int = 600, dim: int = 8, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, count // 6, count)
    x = generator.normal(size=(count // 6, dim))[labels] + 0.4 * generator.normal(size=(count, dim))
    return x.astype(np.float32), labels


@pytest.mark.parametrize(
    ("anchors", "references", "at_once"), [(7, 50, 1), (64, 130, 9), (3, 600, 1)]
)
def test_tiles_do_not_change_the_answer(
    anchors: int, references: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels = _clustered()
    whole = nearest_impostors(x, labels, 2)
    monkeypatch.setattr(tiles, "_AREA", anchors * references)
    monkeypatch.setattr(tiles, "WIDTH", references)
    monkeypatch.setattr(impostors_module, "_BYTES_AT_ONCE", at_once * 8 * 8 * 40)
    parts = nearest_impostors(x, labels, 2)
    np.testing.assert_array_equal(whole.indices, parts.indices)
    np.testing.assert_array_equal(whole.distances, parts.distances)


class MovesOfWhole(TorchFunctionMode):
    """Counts how often a vector with an entry for every sample is moved to a device."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.moves = count, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.to and args[0].shape == (self.count,):
            self.moves += 1
        return func(*args, **(kwargs or {}))


def test_what_is_known_of_every_sample_is_moved_once_not_for_each_tile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, labels = _clustered()
    moves = []
    for width in (32, 200):
        monkeypatch.setattr(tiles, "WIDTH", width)
        monkeypatch.setattr(tiles, "_AREA", 7 * width)
        with MovesOfWhole(len(x)) as moved:
            nearest_impostors(x, labels, 2, margin=(0.0, 0.8))
        moves.append(moved.moves)
    assert moves[0] == moves[1] < 10


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Euclidean(), Cosine()])
def test_wide_tiles_agree_with_a_sorted_matrix(distance: Any) -> None:
    x, labels = _clustered(900)
    found = nearest_impostors(x, labels, 6, distance=distance)
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    full = ((unit[:, None] - unit) ** 2).sum(axis=2)
    full[labels[:, None] == labels] = np.inf
    expected = np.argsort(full, axis=1)[:, :6]
    np.testing.assert_array_equal(found.indices, expected)
    values = torch.from_numpy(np.take_along_axis(full, expected, axis=1))
    np.testing.assert_allclose(found.distances, distance.from_squared(values), rtol=1e-4)


def test_a_memory_map_is_read_and_never_held(tmp_path: Path) -> None:
    x, labels = _clustered()
    file = tmp_path / "x.npy"
    np.save(file, x)
    mapped = np.load(file, mmap_mode="r")
    here, there = nearest_impostors(x, labels, 3), nearest_impostors(mapped, labels, 3)
    np.testing.assert_array_equal(here.indices, there.indices)
    half = nearest_impostors(torch.from_numpy(x).bfloat16(), labels, 3)
    assert half.recall(here) > 0.8


def test_anchors_are_a_part_of_the_whole() -> None:
    x, labels = _clustered()
    whole = nearest_impostors(x, labels, 3, margin=(0.0, 0.9))
    some = nearest_impostors(x, labels, 3, margin=(0.0, 0.9), anchors=[599, 3, 3])
    np.testing.assert_array_equal(some.indices, whole.indices[[599, 3, 3]])
    assert nearest_impostors(x, labels, 3, anchors=[]).indices.shape == (0, 3)


@pytest.mark.parametrize(("index", "dim"), [("ivf", 8), ("ivf", 24), ("hnsw", 8)])
@pytest.mark.parametrize(
    "filters", [{}, {"margin": (0.0, 0.8)}, {"near_duplicate": 0.25}, {"relative_margin": 0.9}]
)
def test_approximate_with_full_effort_misses_next_to_nothing(
    index: Literal["ivf", "hnsw"],
    dim: int,
    filters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(approximate, "_ANSWERS", 500)
    x, labels = _clustered(dim=dim)
    exact = nearest_impostors(x, labels, 4, **filters)
    found = nearest_impostors(x, labels, 4, index=index, effort=600, **filters)
    assert found.recall(exact) > 0.99
    assert (labels[found.indices] != labels[:, None])[found.indices >= 0].all()
    same = (found.indices == exact.indices).all(axis=1)
    np.testing.assert_array_equal(found.distances[same], exact.distances[same])


def test_one_large_identity_does_not_hide_the_others() -> None:
    generator = np.random.default_rng(0)
    x = np.concatenate([np.zeros((500, 4)), generator.normal(size=(100, 4)) + 3]).astype("f4")
    labels = ["big"] * 500 + [f"p{i}" for i in range(100)]
    exact = nearest_impostors(x, labels, 2, distance=PLAIN)
    assert (exact.indices[:500] >= 500).all()
    for index, least in (("ivf", 1.0), ("hnsw", 0.1)):
        found = nearest_impostors(x, labels, 2, index=index, effort=600, distance=PLAIN)  # type: ignore[arg-type]
        # a graph of 500 equal points is in pieces: HNSW may miss, but never takes one of the same
        assert found.recall(exact) >= least
        assert not ((found.indices < 500) & (found.indices >= 0))[:500].any()


@pytest.mark.parametrize("index", ["ivf", "hnsw"])
def test_default_effort_misses_little(index: Literal["ivf", "hnsw"]) -> None:
    x, labels = _clustered(600, dim=16)
    exact = nearest_impostors(x, labels, 5)
    found = nearest_impostors(x, labels, 5, index=index)
    assert found.recall(exact) > 0.9
    same = (found.indices == exact.indices).all(axis=1)
    np.testing.assert_array_equal(found.distances[same], exact.distances[same])


def test_where_only_its_own_identity_is_near_more_cells_are_visited() -> None:
    generator = np.random.default_rng(0)
    crowd = generator.normal(size=(200, 6))
    others = generator.normal(size=(200, 6)) + 20
    x = np.concatenate([crowd, others]).astype("f4")
    labels = ["crowd"] * 200 + [f"p{i}" for i in range(200)]
    one_cell = nearest_impostors(x, labels, 3, index="ivf", effort=1, distance=PLAIN)
    assert (one_cell.indices[:200] >= 200).all()
    nobody = nearest_impostors(x[:200], ["crowd"] * 200, 3, index="ivf", effort=1)
    assert (nobody.indices == -1).all()


@pytest.mark.parametrize("dim", [1, 3, 130])
@pytest.mark.parametrize("index", ["ivf", "hnsw"])
def test_any_dimension_and_the_smallest_sets(index: Literal["ivf", "hnsw"], dim: int) -> None:
    generator = np.random.default_rng(0)
    for count in (2, 5, 90):
        x = generator.normal(size=(count, dim))
        exact = nearest_impostors(x, range(count), 4, distance=PLAIN)
        found = nearest_impostors(x, range(count), 4, index=index, distance=PLAIN, effort=600)
        assert found.recall(exact) > 0.99


def test_huge_labels_are_told_apart() -> None:
    x, small = _clustered(60)
    huge = [2**64 + int(label) for label in small]
    expected = nearest_impostors(x, small, 2)
    np.testing.assert_array_equal(nearest_impostors(x, huge, 2).indices, expected.indices)


def test_recall_counts_what_was_missed_and_forgives_ties() -> None:
    exact = Neighbours(np.array([[1.0, 2.0], [1.0, np.inf]]), np.array([[5, 6], [7, -1]]))
    tied = Neighbours(np.array([[1.0, 2.0], [1.0, np.inf]]), np.array([[5, 9], [7, -1]]))
    worse = Neighbours(np.array([[1.0, 3.0], [np.inf, np.inf]]), np.array([[5, 9], [-1, -1]]))
    assert tied.recall(exact) == 1.0
    assert worse.recall(exact) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match=r"one shape, got \(2, 2\) and \(1, 2\)"):
        exact.recall(Neighbours(exact.distances[:1], exact.indices[:1]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"index": "flat"}, ValueError, "'exact', 'ivf' or 'hnsw', got 'flat'"),
        ({"effort": 0}, ValueError, "effort must be at least 1 or None, got 0"),
        ({"margin": (0.3, 0.1)}, ValueError, r"lo < hi, got \(0.3, 0.1\)"),
        ({"anchors": [3]}, ValueError, "rows of the 3 embeddings, got 3 … 3"),
        ({"anchors": [0.5]}, TypeError, "row numbers, got float64"),
        ({"labels": [1, 2]}, ValueError, "3 embeddings came with 2 labels"),
        ({"embeddings": np.eye(3, dtype=int)}, TypeError, "floating point, got int64"),
        ({"embeddings": np.ones(3)}, ValueError, r"shape \[rows, dim\], got \(3,\)"),
        ({"embeddings": [[1.0]]}, TypeError, "tensor or array, got list"),
        (
            {"embeddings": np.array([[0.0], [1.0], [np.nan]])},
            ValueError,
            "NaN or infinity, first in row 2 of 3",
        ),
    ],
)
def test_bad_arguments_are_said(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    given_ = {"embeddings": np.eye(3), "labels": [0, 1, 2], "k": 1, **arguments}
    with pytest.raises(error, match=message):
        nearest_impostors(**given_)


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [("faiss", {"index": "ivf"}, r"metricface\[offline\]"), ("tqdm", {"progress": True}, "tqdm")],
)
def test_what_is_missing_is_said(
    module: str, arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        nearest_impostors(np.eye(3), [0, 1, 2], 1, **arguments)


def test_the_bar_is_on_the_error_stream(capsys: pytest.CaptureFixture[str]) -> None:
    nearest_impostors(np.eye(3), [0, 1, 2], 1, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "part 1 of 1: 100%" in err
