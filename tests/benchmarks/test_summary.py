"""The numbers of summary.csv against scipy and against hand-made curves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.convergence.summary import (
    at_one_pace,
    half_width,
    readable,
    repeats,
    summarise,
)

STEPS = (0, 10, 20)
CURVES = {  # method -> seed -> fold -> recall at each step
    "slow": {0: [[0.1, 0.2, 0.6], [0.3, 0.4, 0.8]], 1: [[0.1, 0.5, 0.7], [0.1, 0.3, 0.5]]},
    "fast": {0: [[0.1, 0.7, 0.9], [0.1, 0.9, 0.9]], 1: [[0.1, 0.8, 0.8], [0.1, 0.8, 1.0]]},
}


def table(curves: dict[str, dict[int, list[list[float]]]]) -> pd.DataFrame:
    rows = [
        {
            "method": method,
            "seed": seed,
            "fold": fold,
            "step": step,
            "seconds": step * (1.0 + seed),
            "mining_seconds": 0.5 * step,
            "loss_seconds": 0.25 * step,
            **dict.fromkeys(("recall_at_1", "map_at_r", "tar_at_0.01", "eer"), value),
        }
        for method, seeds in curves.items()
        for seed, folds in seeds.items()
        for fold, values in enumerate(folds)
        for step, value in zip(STEPS, values, strict=True)
    ]
    made: pd.DataFrame = pd.DataFrame(rows)
    return made


def test_cells_of_a_slower_machine_are_brought_to_the_pace_of_the_others() -> None:
    usual = table(CURVES).assign(network_seconds=lambda rows: 0.2 * rows["step"])
    pixels = pd.DataFrame([{"method": "raw-pixels", "seed": 0, "fold": 0, "step": 0}])
    usual = pd.concat([usual, pixels], ignore_index=True)
    times = [name for name in usual if name.endswith("seconds")]
    mixed = usual.copy()
    slower = (mixed["method"] == "slow") & (mixed["seed"] == 0) & (mixed["fold"] == 1)
    mixed.loc[slower, times] *= 3
    pd.testing.assert_frame_equal(at_one_pace(mixed), usual)
    busy = usual.copy()
    busy.loc[slower, times] *= 1.4
    pd.testing.assert_frame_equal(at_one_pace(busy), busy)
    without = mixed.drop(columns="network_seconds")
    pd.testing.assert_frame_equal(at_one_pace(without), without)


@pytest.mark.parametrize("size", [2, 3, 10])
def test_half_width_is_that_of_scipys_interval(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    low, high = stats.t.interval(0.95, size - 1, loc=values.mean(), scale=stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2)
    assert math.isnan(half_width(values[:1]))


def test_folds_are_averaged_before_seeds_are_compared() -> None:
    summary = summarise(table(CURVES), headline="recall_at_1", target=0.6).set_index("method")
    assert list(summary.index) == ["slow", "fast"]
    slow = summary.loc["slow"]
    assert slow["recall_at_1"] == pytest.approx(0.65)
    assert slow["recall_at_1_ci95"] == pytest.approx(half_width([0.7, 0.6]))
    assert (slow["repeats"], slow["over"], slow["step"]) == (2, "seeds", 20)


def test_steps_and_seconds_are_those_of_the_first_evaluation_at_the_target() -> None:
    summary = summarise(table(CURVES), headline="recall_at_1", target=0.65).set_index("method")
    assert summary.loc["fast", ["reached", "steps_to", "seconds_to"]].tolist() == [2, 10, 15]
    # Seed 1 of the slow one ends at 0.6: there is no honest mean of when it got there.
    assert summary.loc["slow", "reached"] == 1
    assert summary.loc["slow", ["steps_to", "seconds_to"]].isna().all()


def test_with_one_seed_the_folds_are_the_repeats() -> None:
    one = table({"slow": {0: CURVES["slow"][0]}})
    summary = summarise(one, headline="recall_at_1", target=0.9).iloc[0]
    assert (summary["repeats"], summary["over"]) == (2, "folds")
    assert summary["recall_at_1_ci95"] == pytest.approx(half_width([0.6, 0.8]))
    assert len(repeats(one)) == 2 * len(STEPS)

    # The folds reach 0.65 at steps never and 20, their mean at 20.
    line = summarise(one, headline="recall_at_1", target=0.65).iloc[0]
    assert line[["reached", "steps_to", "seconds_to"]].tolist() == [1, 20, 20]


def test_the_printed_table_shows_mean_interval_and_gaps() -> None:
    text = readable(summarise(table(CURVES), headline="recall_at_1", target=0.65))
    slow = next(line for line in text.splitlines() if "slow" in line)
    assert f"0.650 ± {half_width([0.7, 0.6]):.3f}" in slow
    assert slow.split()[-2:] == ["–", "–"]
