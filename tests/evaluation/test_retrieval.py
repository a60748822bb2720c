"""Retrieval figures against a plain loop and against pytorch-metric-learning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.evaluation import Retrieval, retrieval
from metricface.types import Embeddings
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.evaluation.small_tiles import small_tiles
from tests.oracles import evaluation as oracle


def _assert_equal(
    found: Retrieval, expected: tuple[dict[int, float], float, float, int], total: int
) -> None:
    recall, r_precision, map_at_r, queries = expected
    assert found.recall == pytest.approx(recall)
    assert found.r_precision == pytest.approx(r_precision)
    assert found.map_at_r == pytest.approx(map_at_r)
    assert (found.queries, found.unmatched) == (queries, total - queries)


@settings(deadline=None, max_examples=60)
@given(labelled_sets(), st.sampled_from([1, 3, 64]))
def test_within_one_set_it_is_the_plain_loop(sample: LabelledSet, size: int) -> None:
    x, labels = sample
    with small_tiles(size):
        found = retrieval(x, labels, ks=(1, 2, 30), distance=EXACT)
    rows, exact = range(len(x)), x.astype(float)
    expected = oracle.retrieval(
        exact, labels, exact, labels, rows, rows, (1, 2, 30), normalize=False
    )
    _assert_equal(found, expected, len(x))


@settings(deadline=None, max_examples=60)
@given(labelled_sets(), labelled_sets(), st.data())
def test_against_a_gallery_it_is_the_plain_loop(
    probes: LabelledSet, gallery: LabelledSet, data: st.DataObject
) -> None:
    def some(count: int) -> list[int]:
        return data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))

    ids, gallery_ids = some(len(probes.x)), some(len(gallery.x))
    expected = (
        oracle.retrieval(
            probes.x.astype(float),
            probes.labels,
            gallery.x.astype(float),
            gallery.labels,
            ids,
            gallery_ids,
            (1, 3),
            normalize=False,
        )
        if _has_match(probes, gallery, ids, gallery_ids)
        else None
    )
    search = partial(
        retrieval,
        *probes,
        gallery=gallery.x,
        gallery_labels=gallery.labels,
        ids=ids,
        gallery_ids=gallery_ids,
        ks=(1, 3),
        distance=EXACT,
    )
    if expected is None:
        with pytest.raises(ValueError, match="has a match in the gallery"):
            search()
        return
    found = search()
    _assert_equal(found, expected, len(probes.x))


def _has_match(
    probes: LabelledSet, gallery: LabelledSet, ids: list[int], gallery_ids: list[int]
) -> bool:
    return any(
        label == other and own != its
        for label, own in zip(probes.labels, ids, strict=True)
        for other, its in zip(gallery.labels, gallery_ids, strict=True)
    )


@settings(deadline=None, max_examples=60)
@given(labelled_sets(), labelled_sets(), st.data(), st.sampled_from([1, 3, 64]))
def test_the_whole_ranking_without_the_same_camera_is_the_plain_loop(
    probes: LabelledSet, gallery: LabelledSet, data: st.DataObject, size: int
) -> None:
    def cameras(count: int) -> list[str]:
        return data.draw(st.lists(st.sampled_from("ab"), min_size=count, max_size=count))

    own, its = cameras(len(probes.x)), cameras(len(gallery.x))
    junk = [
        {g for g in range(len(its)) if (gallery.labels[g], its[g]) == (label, camera)}
        for label, camera in zip(probes.labels, own, strict=True)
    ]
    exact = probes.x.astype(float), probes.labels, gallery.x.astype(float), gallery.labels
    expected = oracle.whole_ranking(*exact, junk)
    search = partial(
        retrieval,
        *probes,
        gallery=gallery.x,
        gallery_labels=gallery.labels,
        cameras=own,
        gallery_cameras=its,
        whole_ranking=True,
        distance=EXACT,
    )
    with small_tiles(size):
        if expected is None:
            with pytest.raises(ValueError, match="has a match in the gallery"):
                search()
            return
        found = search()
    assert (found.mean_average_precision, found.mrr) == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(labelled_sets(), st.sampled_from([1, 64]))
def test_the_whole_ranking_of_one_set_leaves_each_row_out(sample: LabelledSet, size: int) -> None:
    exact = sample.x.astype(float), sample.labels
    expected = oracle.whole_ranking(*exact, *exact, [{row} for row in range(len(sample.x))])
    with small_tiles(size):
        found = retrieval(*sample, whole_ranking=True, distance=EXACT)
    assert (found.mean_average_precision, found.mrr) == pytest.approx(expected)


def test_without_the_whole_ranking_its_figures_are_not_made_up() -> None:
    found = retrieval(torch.eye(4), [0, 0, 1, 1])
    assert found.mean_average_precision is None
    assert found.mrr is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cameras": [0, 0]}, "4 labels came with 2 cameras"),
        ({"cameras": [0] * 4, "ids": [0] * 4}, "either cameras or ids"),
        ({"gallery_cameras": [0] * 4}, "gallery_cameras need gallery_labels"),
        (
            {"cameras": [0] * 4, "gallery": torch.eye(4), "gallery_labels": [0] * 4},
            "gallery_cameras is None",
        ),
    ],
)
def test_cameras_that_do_not_fit(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(torch.eye(4), [0, 0, 1, 1], **given)  # type: ignore[arg-type]


def test_a_gallery_without_ids_leaves_nothing_out() -> None:
    x = np.array([[0.0], [5.0]])
    same = {"gallery": x.copy(), "gallery_labels": ["a", "b"]}
    found = retrieval(x, ["a", "b"], **same, ks=(1,), distance=EXACT)
    assert found == Retrieval({1: 1.0}, 1.0, 1.0, queries=2, unmatched=0)


def test_queries_that_are_their_own_gallery_would_find_themselves() -> None:
    x, labels = torch.eye(4), [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"the gallery is the queries themselves.* leave it out"):
        retrieval(x, labels, gallery=x, gallery_labels=labels)
    with_ids = retrieval(
        x, labels, gallery=x, gallery_labels=labels, ids=range(4), gallery_ids=range(4)
    )
    assert with_ids == retrieval(x, labels)


@pytest.mark.parametrize("spread", [0.3, 1.0, 1.5])
def test_it_agrees_with_pytorch_metric_learning(spread: float) -> None:
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 40, (300,), generator=generator)
    centres = torch.randn(40, 12, generator=generator)
    x = centres[labels] + spread * torch.randn(300, 12, generator=generator)
    x = torch.nn.functional.normalize(x)
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    theirs = AccuracyCalculator(include=names, k="max_bin_count").get_accuracy(x, labels)
    whole = ("mean_average_precision", "mean_reciprocal_rank")
    theirs |= AccuracyCalculator(include=whole).get_accuracy(x, labels)  # k: the whole set
    ours = retrieval(x, labels, ks=(1,), whole_ranking=True)
    assert 0.05 < ours.map_at_r < 1
    assert ours.recall[1] == pytest.approx(theirs["precision_at_1"])
    assert ours.r_precision == pytest.approx(theirs["r_precision"])
    assert ours.map_at_r == pytest.approx(theirs["mean_average_precision_at_r"])
    assert ours.mean_average_precision == pytest.approx(theirs["mean_average_precision"])
    assert ours.mrr == pytest.approx(theirs["mean_reciprocal_rank"])


def _clustered(people: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Whole numbers whose mean is 0: there are ties, and float32 loses nothing."""
    generator = np.random.default_rng(5)
    labels = generator.integers(0, people, 100)
    x = generator.normal(size=(people, 9))[labels] + 0.8 * generator.normal(size=(100, 9))
    half = (8 * x).round()
    return np.concatenate([half, -half]).astype(np.float32), np.concatenate([labels, labels])


@pytest.mark.parametrize("people", [2, 20, 90])
def test_tiles_do_not_change_the_answer(people: int) -> None:
    x, labels = _clustered(people)
    whole = retrieval(x, labels, distance=EXACT)
    assert 0 < whole.map_at_r < 1
    for size in (7, 64):
        with small_tiles(size):
            assert retrieval(x, labels, distance=EXACT) == whole


def test_a_memory_map_says_the_same_as_the_array(tmp_path: Path) -> None:
    x, labels = _clustered(20)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert retrieval(mapped, labels) == retrieval(x, labels)
    half = retrieval(torch.from_numpy(x).half(), labels, gallery=mapped, gallery_labels=labels)
    assert half.recall[1] > 0.9  # each finds itself, where nothing says that it is the same


def test_a_collapsed_model_scores_zero() -> None:
    found = retrieval(np.ones((12, 4)), [0, 1, 2] * 4)
    assert found.recall == {1: 0.0, 5: 0.0}
    assert found.r_precision == found.map_at_r == 0.0


def test_huge_labels_and_a_match_matrix_say_the_same() -> None:
    generator = np.random.default_rng(0)
    x, small = generator.normal(size=(20, 3)), generator.integers(0, 6, 20)
    huge = [2**63 + int(label) for label in small]  # float64 could not tell these apart
    expected = retrieval(x, small)
    assert retrieval(x, huge) == expected
    assert retrieval(x, small[:, None] == small) == expected


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: torch.from_numpy(x).half(),
        lambda x: torch.from_numpy(x).bfloat16(),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(">f4"),
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: np.broadcast_to(x, x.shape),  # read-only
        lambda x: np.asfortranarray(x),
    ],
)
def test_every_form_of_embeddings_is_taken(
    convert: Callable[[npt.NDArray[np.float64]], Embeddings],
) -> None:
    x = np.array([[4.0, 0.0], [4.0, 0.5], [0.0, 2.0], [0.5, 2.0]])
    found = retrieval(convert(x), [0, 0, 1, 1])
    assert found.map_at_r == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ks": ()}, "ks must be one or more"),
        ({"ks": (0,)}, "each of ks must be at least 1, got 0"),
        ({"gallery": np.eye(3)}, "needs gallery_labels"),
        ({"gallery_labels": [0, 1, 2]}, "need a gallery"),
        ({"gallery": np.eye(2), "gallery_labels": [0, 1]}, "3 columns but gallery has 2"),
    ],
)
def test_bad_arguments_are_said(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(np.eye(3), [0, 0, 1], **arguments)  # type: ignore[arg-type]


def test_integer_embeddings_are_refused() -> None:
    with pytest.raises(TypeError, match="got int64"):
        retrieval(np.eye(3, dtype=np.int64), [0, 0, 1])
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        retrieval(torch.ones(3, 2, dtype=torch.int64), [0, 0, 1])
    with pytest.raises(TypeError, match="got list"):
        retrieval([[1.0]], [0])  # type: ignore[arg-type]
