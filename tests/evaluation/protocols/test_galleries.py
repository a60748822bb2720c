"""One set of probes in two galleries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from metricface.evaluation import identification, mean_identification
from tests.evaluation.samples import EXACT
from tests.oracles import evaluation as oracle


def test_two_galleries_are_searched_alone_and_averaged() -> None:
    generator = np.random.default_rng(3)
    people, pictures = np.arange(24) % 8, generator.integers(-3, 4, (24, 2)).astype(float)
    probes, own = generator.integers(-3, 4, (30, 2)).astype(float), np.arange(30) % 8
    rate = 0.25
    found, ranks, detected = [], [], []
    for part in (people < 3, people >= 3):  # of different people and of different sizes
        gallery = pictures[part], people[part]
        found.append(
            identification(
                *gallery, probes, own, ranks=(1, 2), false_alarms=(rate,), distance=EXACT
            )
        )
        rank, nearest, strangers = oracle.identification_ranks(
            gallery[0], gallery[1].tolist(), probes, own.tolist()
        )
        ranks.append([np.mean([place <= k for place in rank]) for k in (1, 2)])
        allowed = int(rate * len(strangers))
        beyond = sorted(strangers)[allowed]
        both = zip(rank, nearest, strict=True)
        detected.append(np.mean([place == 1 and near < beyond for place, near in both]))
    mean = mean_identification(found)
    assert mean.rank == pytest.approx(dict(zip((1, 2), np.mean(ranks, axis=0), strict=True)))
    assert mean.detection == pytest.approx({rate: np.mean(detected)})
    assert 0 < mean.rank[1] < mean.rank[2]


def test_what_does_not_fit_is_said() -> None:
    x = np.eye(3)
    one: Any = identification(x, [1, 2, 3], x[:], [1, 2, 3], ranks=(1,))
    other: Any = identification(x, [1, 2, 3], x[:], [1, 2, 3], ranks=(1, 2))
    with pytest.raises(ValueError, match="one or more, got none"):
        mean_identification([])
    with pytest.raises(ValueError, match=r"same ranks and false-alarm rates, got \[1\]"):
        mean_identification([one, other])
    wrong: list[Any] = [one, [one, {1: 0.5}], 5, {1: one}]
    for bad in wrong:
        with pytest.raises(TypeError, match="a list of what identification measured"):
            mean_identification(bad)
