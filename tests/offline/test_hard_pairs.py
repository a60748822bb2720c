"""The hardest pairs and look-alikes of a whole set, against plain loops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

import metricface.offline.positives as positives_module
from metricface.distances import SquaredEuclidean
from metricface.miners import BatchHardMiner
from metricface.offline import hard_pairs, identity_neighbours
from metricface.samplers import HardIdentitySampler
from metricface.types import as_triplets
from tests.oracles import offline as oracle

PLAIN = SquaredEuclidean(normalize=False)
NAMES = ["anna", "ben", "carl", "dora", "emil", "fay"]


@pytest.fixture
def sample() -> tuple[npt.NDArray[np.float64], list[str]]:
    generator = np.random.default_rng(3)
    labels = [NAMES[i] for i in generator.integers(0, 5, 39)] + ["fay"]  # fay is alone
    return generator.normal(size=(40, 3)), labels


@pytest.mark.parametrize("together", [1, 7, 256])
def test_hard_pairs_are_those_of_a_plain_loop(
    sample: tuple[npt.NDArray[np.float64], list[str]],
    together: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(positives_module, "_TOGETHER", together)
    monkeypatch.setattr(positives_module, "width_for", lambda k: together + 2)
    x, labels = sample
    found = hard_pairs(x, labels, positives=2, negatives=3, distance=PLAIN)
    for anchors, others, expected, count in (
        (found.anchor_pos, found.positive, oracle.farthest_positives(x, labels), 2),
        (found.anchor_neg, found.negative, oracle.impostors(x, labels), 3),
    ):
        wanted = [(i, j) for i, row in enumerate(expected) for _, j in row[:count]]
        assert list(zip(anchors.tolist(), others.tolist(), strict=True)) == wanted
    assert 39 not in found.anchor_pos.tolist(), "fay has no second picture"
    assert found.positive.dtype == found.negative.dtype == torch.int64


def test_on_one_batch_it_is_batch_hard(
    sample: tuple[npt.NDArray[np.float64], list[str]],
) -> None:
    x, labels = sample
    ours = as_triplets(hard_pairs(x, labels))
    theirs = BatchHardMiner()(torch.from_numpy(x), labels)
    assert {*zip(*map(torch.Tensor.tolist, ours), strict=True)} == {
        *zip(*map(torch.Tensor.tolist, theirs), strict=True)
    }


def test_look_alikes_are_those_of_a_plain_loop(
    sample: tuple[npt.NDArray[np.float64], list[str]],
) -> None:
    x, labels = sample
    found = identity_neighbours(x, labels, 6, distance=PLAIN)
    expected = [[j for _, j in row] + [-1] for row in oracle.look_alikes(x, labels)]
    assert found.tolist() == expected


@pytest.mark.parametrize("k", [1, 2, 6])
def test_the_closest_images_tell_look_alikes_too(
    sample: tuple[npt.NDArray[np.float64], list[str]], k: int
) -> None:
    x, labels = sample
    found = identity_neighbours(x, labels, k, by="closest", distance=PLAIN)
    expected = oracle.owners(x, labels, k)
    assert found.tolist() == [row + [-1] * (k - len(row)) for row in expected]
    assert found.dtype == np.int64
    assert (found[:, 0] >= 0).all()


def test_one_image_that_is_near_makes_a_look_alike() -> None:
    x = np.array([[0.0], [8.0], [7.0], [30.0], [3.0]])  # b's 7 is near a's 8, c is near a's mean
    labels = ["a", "a", "b", "b", "c"]
    by_mean = identity_neighbours(x, labels, 1, distance=PLAIN)
    by_image = identity_neighbours(x, labels, 1, by="closest", distance=PLAIN)
    assert (by_mean[0, 0], by_image[0, 0]) == (2, 1)


def test_samples_stand_for_identities_by_the_seed() -> None:
    x = np.array([[0.0], [9.0], [1.0], [10.0], [20.0]])  # a lies beside b and beside c
    labels = ["a", "a", "b", "c", "d"]
    found = {
        int(identity_neighbours(x, labels, 1, by="sample", distance=PLAIN, seed=seed)[0, 0])
        for seed in range(20)
    }
    assert found == {1, 2}
    again = [
        identity_neighbours(x, labels, 2, by="sample", distance=PLAIN, seed=4) for _ in range(2)
    ]
    assert again[0].tolist() == again[1].tolist()


def test_the_sampler_takes_them_as_they_are(
    sample: tuple[npt.NDArray[np.float64], list[str]],
) -> None:
    x, labels = sample
    alike = identity_neighbours(x, labels, 3, distance=PLAIN)
    sampler = HardIdentitySampler(labels, 2, 2, alike)
    names = sorted(set(labels))
    met = {frozenset(labels[i] for i in batch) for batch in sampler}
    assert met == {frozenset((names[i], names[int(row[0])])) for i, row in enumerate(alike)}


def test_bad_arguments_are_said() -> None:
    with pytest.raises(ValueError, match="positives must be at least 1, got 0"):
        hard_pairs(np.eye(2), [0, 1], positives=0)
    with pytest.raises(ValueError, match="'mean', 'sample' or 'closest', got 'median'"):
        identity_neighbours(np.eye(2), [0, 1], 1, by="median")  # type: ignore[arg-type]
