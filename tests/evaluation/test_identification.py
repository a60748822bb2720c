"""Identification against a plain loop, closed set and open set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metricface.evaluation import identification
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.evaluation.small_tiles import small_tiles
from tests.oracles import evaluation as oracle


@settings(deadline=None, max_examples=60)
@given(labelled_sets(), labelled_sets(), st.sampled_from([1, 3, 64]), st.integers(0, 4))
def test_it_is_the_plain_loop(
    gallery: LabelledSet, probes: LabelledSet, size: int, strangers: int
) -> None:
    half = np.arange(strangers, dtype=np.float32)[:, None].repeat(2, axis=1)
    crowd = np.concatenate([half, -half])
    own = [f"{name}!" if name == "ben" else name for name in probes.labels]
    everyone = np.concatenate([gallery.x, crowd]).astype(float)
    people = [*gallery.labels, *(f"crowd {i}" for i in range(len(crowd)))]
    ranks, nearest, unmated = oracle.identification_ranks(
        everyone, people, probes.x.astype(float), own
    )
    assume(ranks)
    rates = tuple(rate for rate in (0.2, 0.5, 1.0) if rate * len(unmated) >= 1)
    with small_tiles(size):
        found = identification(
            gallery.x,
            gallery.labels,
            probes.x,
            own,
            ranks=(1, 2, 99),
            distractors=crowd if strangers else None,
            false_alarms=rates,
            distance=EXACT,
        )
    assert found.candidates == len(set(people))
    assert (found.mated, found.unmated) == (len(ranks), len(unmated))
    expected = [np.mean([rank <= k for rank in ranks]) for k in range(1, found.candidates + 1)]
    np.testing.assert_allclose(found.cmc, expected)
    assert found.rank == pytest.approx({1: expected[0], 2: expected[1], 99: 1.0})
    for rate in rates:
        thresholds = [-math.inf, *nearest, *unmated]
        held = [t for t in thresholds if np.mean([d <= t for d in unmated]) <= rate]
        accepted = [r == 1 and d <= max(held) for r, d in zip(ranks, nearest, strict=True)]
        assert found.detection[rate] == pytest.approx(np.mean(accepted))
        assert np.mean([d <= found.thresholds[rate] for d in unmated]) <= rate


def test_distractors_only_push_down() -> None:
    generator = np.random.default_rng(0)
    gallery, probes = generator.normal(size=(2, 20, 3))
    people = list(range(20))
    alone = identification(gallery, people, gallery + 0.3 * probes, people)
    crowd = generator.normal(size=(500, 3))
    among = identification(gallery, people, gallery + 0.3 * probes, people, distractors=crowd)
    assert among.candidates == 520
    assert among.rank[1] < alone.rank[1]


@pytest.mark.parametrize("longer", ["gallery", "probes", "distractors"])
def test_float64_on_one_side_and_nobody_in_the_crowd(longer: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    sides: dict[str, Any] = {
        "gallery": x[:20],
        "probes": x[:20] + 0.4 * x[20:40],
        "distractors": x[40:],
    }
    people: dict[str, Any] = {"gallery_labels": range(20), "probe_labels": range(20)}
    expected = identification(**sides, **people)
    assert 0 < expected.rank[1] < 1
    sides[longer] = sides[longer].astype(np.float64)
    assert identification(**sides, **people) == expected
    sides["distractors"] = x[:0]
    alone = identification(**sides, **people)
    assert alone.candidates == 20


def test_too_few_strangers_are_said_and_not_faked() -> None:
    x = np.eye(3)
    with pytest.warns(
        UserWarning, match="0.1 needs at least 10 probes without a mate, there are 1"
    ):
        found = identification(x[:2], [0, 1], x, [0, 1, 2], false_alarms=(0.1, 1.0))
    assert math.isnan(found.detection[0.1])
    assert found.detection[1.0] == 1.0


def test_a_collapsed_model_is_last() -> None:
    found = identification(np.ones((4, 2)), list("abcd"), np.ones((2, 2)), list("ab"), ranks=(1, 4))
    assert found.rank == {1: 0.0, 4: 1.0}


def test_labels_of_any_size_and_kind() -> None:
    x, small = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) // 2
    huge = [2**64 + int(label) for label in small]
    expected = identification(x[::2], small[::2], x[1::2], small[1::2])
    assert identification(x[::2], huge[::2], x[1::2], huge[1::2]) == expected
    unsigned = torch.from_numpy(small[::2].astype(np.uint8))
    assert identification(x[::2], unsigned, x[1::2], small[1::2]) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranks": (0,)}, "each of ranks must be at least 1"),
        ({"false_alarms": (0.0,)}, r"in \(0, 1\], got 0"),
        ({"probe_labels": [7, 8, 9]}, "none of the 3 probes is of anybody"),
        ({"probe_labels": [0, 1]}, "3 probes came with 2 labels"),
        ({"probes": np.eye(2), "probe_labels": [0, 1]}, "2 columns but gallery has 3"),
        ({"distractors": np.eye(2)}, "distractors have 2 columns but gallery has 3"),
    ],
)
def test_bad_arguments_are_said(arguments: dict[str, object], message: str) -> None:
    given_ = {
        "gallery": np.eye(3),
        "gallery_labels": [0, 1, 2],
        "probes": np.eye(3),
        "probe_labels": [0, 1, 2],
        **arguments,
    }
    with pytest.raises(ValueError, match=message):
        identification(**given_)  # type: ignore[arg-type]


def test_probes_that_are_their_own_gallery_would_find_themselves() -> None:
    x, labels = torch.eye(4), [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"the gallery is the probes themselves.* retrieval"):
        identification(x, labels, x, labels)
