"""Frequencies and meetings are as uniform as chance allows.

Every test fails by chance with probability 1e-4, for one fixed seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import chi2, chisquare

from metricface.samplers import PKSampler
from metricface.samplers.identity_rounds import IdentityRounds
from metricface.samplers.image_decks import ImageDecks

SIGNIFICANCE = 1e-4
Counts = npt.NDArray[np.int64]


def meetings(rows: Counts, count: int) -> Counts:
    """How often each pair of ``count`` things stands in one row."""
    first, second = np.triu_indices(rows.shape[1], 1)
    low = np.minimum(rows[:, first], rows[:, second])
    high = np.maximum(rows[:, first], rows[:, second])
    pairs: Counts = np.bincount((low * count + high).ravel(), minlength=count * count)
    return pairs.reshape(count, count)[np.triu_indices(count, 1)]


@pytest.mark.parametrize(("count", "width"), [(12, 4), (13, 4), (30, 7), (11, 6)])
@pytest.mark.parametrize("epoch", [0, 5, 41])
def test_any_two_identities_meet_equally_often(count: int, width: int, epoch: int) -> None:
    rows = np.concatenate(
        [
            IdentityRounds(count, width, seed).epoch(epoch).identity.reshape(-1, width)
            for seed in range(800)
        ]
    )
    # meetings within an epoch exclude one another, so chi-square overstates their variance
    assert chisquare(meetings(rows, count)).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(("size", "k"), [(4, 2), (5, 2), (7, 4), (11, 4), (64, 8), (90, 5)])
@pytest.mark.parametrize("visit", [0, 5, 100])
def test_any_two_images_are_shown_together_equally_often(size: int, k: int, visit: int) -> None:
    decks = ImageDecks(np.full(8000, size), k, seed=12)
    rows = decks.deal(np.arange(8000), np.full(8000, visit))
    assert chisquare(meetings(rows, size)).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(("size", "k"), [(5, 2), (11, 4), (3, 4), (90, 5)])
def test_every_image_is_shown_on_a_visit_with_the_same_chance(size: int, k: int) -> None:
    decks = ImageDecks(np.full(8000, size), k, seed=13)
    for visit in (0, 1, 7):
        rows = decks.deal(np.arange(8000), np.full(8000, visit))
        assert chisquare(np.bincount(rows.ravel(), minlength=size)).pvalue > SIGNIFICANCE


def test_the_repeats_of_an_epoch_of_images_fall_on_all_alike() -> None:
    labels = np.repeat(np.arange(10), 5)
    sampler = PKSampler(labels, p=3, k=3, coverage="images", seed=14)
    repeats = np.zeros(len(labels))
    for _ in range(400):
        repeats += np.bincount(np.concatenate(list(sampler)), minlength=len(labels)) - 1
    assert sampler.report().repeats * 400 == repeats.sum()
    # repeats of one epoch exclude one another, so chi-square overstates their variance
    assert chisquare(repeats).pvalue > SIGNIFICANCE


def test_repeats_in_the_bound_of_chance_would_be_noticed_when_uneven() -> None:
    """The tests above can fail: one image in fifty shown twice as often is enough."""
    uneven = np.full(50, 400)
    uneven[0] = 800
    assert chisquare(uneven).pvalue < SIGNIFICANCE
    assert chi2.isf(SIGNIFICANCE, 49) < 200


def test_visits_and_images_are_exactly_even_after_whole_rounds() -> None:
    labels = np.repeat(np.arange(9), 7)
    sampler = PKSampler(labels, p=4, k=3, seed=15)
    draws = np.zeros(len(labels))
    for _ in range(63):  # 63 epochs of 8 visits are 56 for each of 9, and 56 * 3 / 7 is whole
        draws += np.bincount(np.concatenate(list(sampler)), minlength=len(labels))
    assert (draws == 24).all()
