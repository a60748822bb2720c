"""The hardest pairs of a set against sorting all of them; templates against plain means."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.evaluation import hardest_pairs, mean_templates
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.oracles import evaluation as oracle


@settings(deadline=None, max_examples=60)
@given(labelled_sets(), st.integers(1, 6), st.sampled_from([2, 5, 64]))
def test_they_are_the_ends_of_the_sorted_list(sample: LabelledSet, count: int, block: int) -> None:
    x, labels = sample
    found = hardest_pairs(x, labels, count=count, distance=EXACT, block=block)
    genuine, impostor = oracle.split_pairs(x.astype(float), labels, normalize=False)
    assert found.impostor_distances.tolist() == sorted(impostor)[:count]
    assert found.genuine_distances.tolist() == sorted(genuine, reverse=True)[:count]
    for pairs, distances, same in (
        (found.impostors, found.impostor_distances, False),
        (found.genuine, found.genuine_distances, True),
    ):
        assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
        for (i, j), distance in zip(pairs.tolist(), distances, strict=True):
            assert i < j
            assert (labels[i] == labels[j]) == same
            a, b = x[i].astype(float), x[j].astype(float)
            assert oracle.squared_distance(a, b, normalize=False) == distance


@settings(deadline=None, max_examples=40)
@given(labelled_sets(), st.integers(1, 6), st.integers(1, 3), st.sampled_from([2, 5, 64]))
def test_the_same_identities_come_no_more_often_than_allowed(
    sample: LabelledSet, count: int, per_pair: int, block: int
) -> None:
    x, labels = sample
    found = hardest_pairs(x, labels, count=count, per_pair=per_pair, distance=EXACT, block=block)
    everything = hardest_pairs(x, labels, count=10_000, distance=EXACT, block=block)
    for kind in ("impostor", "genuine"):
        pairs = getattr(everything, "impostors" if kind == "impostor" else "genuine")
        seen: dict[frozenset[int | str], list[float]] = {}
        for pair, distance in zip(
            pairs.tolist(), getattr(everything, f"{kind}_distances").tolist(), strict=True
        ):
            seen.setdefault(frozenset(labels[i] for i in pair), []).append(distance)
        left = [distance for each in seen.values() for distance in each[:per_pair]]
        expected = sorted(left, reverse=kind == "genuine")[:count]
        assert getattr(found, f"{kind}_distances").tolist() == expected


def test_two_look_alikes_do_not_fill_the_list() -> None:
    """Two identities in one place, with 400 pairs at distance 0, and a third one near them."""
    labels = np.arange(60) // 20
    x = np.array([[0.0], [0.0], [1.0]])[labels]
    crowded = hardest_pairs(x, labels, count=3, distance=EXACT)
    assert crowded.impostor_distances.tolist() == [0, 0, 0]
    found = hardest_pairs(x, labels, count=3, per_pair=1, distance=EXACT, block=16)
    whose = labels[found.impostors]
    assert found.impostor_distances.tolist() == [0, 1, 1]
    assert {tuple(pair) for pair in whose.tolist()} == {(0, 1), (0, 2), (1, 2)}
    assert sorted(labels[found.genuine[:, 0]].tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="per_pair must be at least 1, got 0"):
        hardest_pairs(x, labels, per_pair=0)


def test_a_swapped_label_is_found() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) // 6
    x = generator.normal(size=(10, 8))[labels] + 0.05 * generator.normal(size=(60, 8))
    labels[13] = 7  # was 2
    found = hardest_pairs(x, labels, count=5)
    assert all(13 in pair for pair in found.impostors.tolist() + found.genuine.tolist())
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        hardest_pairs(x, labels, count=0)


@pytest.mark.parametrize("normalize", [True, False])
def test_templates_are_means_of_means_of_media(normalize: bool) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 4))
    templates = [f"t{i}" for i in generator.integers(0, 4, 30)]
    media = generator.integers(0, 3, 30).tolist()
    unit = [row / np.sqrt(row @ row) if normalize else row for row in x]
    found = mean_templates(x, templates, media=media, normalize=normalize)
    flat = mean_templates(x, templates, normalize=normalize)
    assert found.names.tolist() == flat.names.tolist() == sorted(set(templates))
    for number, name in enumerate(found.names):
        mine = [i for i in range(30) if templates[i] == name]
        groups = [[unit[i] for i in mine if media[i] == m] for m in {media[i] for i in mine}]
        expected = sum(sum(group) / len(group) for group in groups) / len(groups)
        np.testing.assert_allclose(found.embeddings[number], expected)
        np.testing.assert_allclose(flat.embeddings[number], sum(unit[i] for i in mine) / len(mine))


def test_templates_say_what_does_not_fit() -> None:
    half = mean_templates(torch.ones(2, 2).half(), [0, 1])
    assert half.embeddings.dtype == torch.float32
    with pytest.raises(ValueError, match="2 embeddings came with 1 templates"):
        mean_templates(np.eye(2), [0])
    with pytest.raises(ValueError, match="2 embeddings came with 3 media"):
        mean_templates(np.eye(2), [0, 0], media=[1, 2, 3])


def test_the_loop_and_the_pairs_agree_in_number() -> None:
    x = np.random.default_rng(0).normal(size=(9, 2))
    found = hardest_pairs(x, [0] * 4 + [1] * 5, count=100)
    everyone = {*map(tuple, found.impostors.tolist()), *map(tuple, found.genuine.tolist())}
    assert everyone == set(combinations(range(9), 2))
