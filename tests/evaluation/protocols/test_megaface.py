"""MegaFace's lists and its protocol, against a plain loop and against identification."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metricface.evaluation import (
    MegafaceList,
    identification,
    megaface,
    read_megaface_list,
)
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.evaluation.small_tiles import small_tiles
from tests.oracles import evaluation as oracle


@settings(deadline=None, max_examples=50)
@given(labelled_sets(10), labelled_sets(20), st.sampled_from([1, 3, 64]))
def test_it_is_the_plain_loop(sample: LabelledSet, crowd: LabelledSet, size: int) -> None:
    places, genuine, impostor = oracle.megaface_places(
        sample.x.astype(float), sample.labels, crowd.x.astype(float)
    )
    fars = tuple(far for far in (0.02, 0.1, 0.5, 1.0) if far * len(impostor) >= 1)
    assume(places)
    with small_tiles(size):
        found = megaface(
            sample.x, sample.labels, crowd.x, ranks=(1, 2, 99), fars=fars, distance=EXACT
        )
    expected = {k: np.mean([place <= k for place in places]) for k in (1, 2, 99)}
    assert found.rank == pytest.approx(expected)
    assert found.tar == {far: oracle.tar_of_sorted(genuine, impostor, far) for far in fars}
    assert (found.searches, found.impostor_pairs) == (len(places), len(impostor))


def test_of_two_pictures_it_is_identification_one_gallery_after_the_other() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8, 2, 3)) * 0.4 + generator.normal(size=(8, 1, 3))
    crowd, people = generator.normal(size=(40, 3)), np.arange(8).repeat(2)
    found = megaface(x.reshape(16, 3), people, crowd, ranks=(1, 5), fars=(0.1,))
    alone = [
        identification(x[p, [g]], [p], x[p, [1 - g]], [p], ranks=(1, 5), distractors=crowd)
        for p in range(8)
        for g in range(2)
    ]
    assert found.rank == pytest.approx({k: np.mean([one.rank[k] for one in alone]) for k in (1, 5)})
    assert 0 < found.rank[1] < found.rank[5]


def test_a_far_of_too_few_pairs_is_not_faked() -> None:
    with pytest.warns(UserWarning, match="FAR 1e-06 needs at least 1000000 impostor pairs") as seen:
        found = megaface(np.eye(4), [0, 0, 1, 1], np.ones((2, 4)))
    assert math.isnan(found.tar[1e-6])
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 1, 2]}, "no two of the 3 probes share an identity"),
        ({"labels": [0, 0]}, "3 probes came with 2 labels"),
        ({"distractors": np.eye(3)[:0]}, "there is no distractor"),
        ({"distractors": np.eye(2)}, "distractors have 2 columns but probes has 3"),
        ({"ranks": (0,)}, "each of ranks must be at least 1"),
        ({"fars": (2.0,)}, r"each of fars must be in \(0, 1\]"),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, object], message: str) -> None:
    usual = {"probes": np.eye(3), "labels": [0, 0, 1], "distractors": np.eye(3)}
    with pytest.raises(ValueError, match=message):
        megaface(**{**usual, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": ["a.png", "b.', "line 1: Unterminated string.*is it cut off"),
        ('{"path": ["a.png"],\n "id": ["a", "b"]}', "1 paths but 2 ids"),
        ('{"path": "a.png"}', "'path' must be a list of names, got str"),
        ('{"path": [["a.png"]]}', "'path' must be a list of names, got list"),
        ('{"id": ["a"]}', "'path' must be a list of names, got nothing"),
        ('{"path": []}', "lists no images"),
        ('["a.png"]', r'line 1: expected \{"path"'),
    ],
)
def test_damage_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_megaface_list(file)
    assert str(file) in str(caught.value)


def test_distractors_may_have_no_names(tmp_path: Path) -> None:
    file = tmp_path / "megaface_features_list.json_10_1"
    file.write_text('{"path": ["363/1.jpg", "364/2.jpg"]}')
    assert read_megaface_list(file) == MegafaceList(("363/1.jpg", "364/2.jpg"), None)
