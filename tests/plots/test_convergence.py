"""The curves are the means, the bands are t-intervals, the legend is in order."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from metricface.plots import convergence
from metricface.plots.palette import line_style

T_OF_TWO_FREEDOMS = 4.302653  # Student's 0.975 quantile, from a printed table


def _curves(seeds: int = 3) -> pd.DataFrame:
    """Method b ends above method a, and is drawn second."""
    generator = np.random.default_rng(0)
    rows = (
        {
            "method": method,
            "seed": seed,
            "step": step,
            "seconds": step * (0.1 + 0.01 * seed),
            "recall": slope * step + generator.normal(0, 0.02),
        }
        for method, slope in (("a", 0.005), ("b", 0.01))
        for seed in range(seeds)
        for step in (0, 20, 40, 60)
    )
    curves: pd.DataFrame = pd.DataFrame(rows)
    return curves


def _line(ax: Axes, name: str) -> tuple[list[float], list[float]]:
    line = next(line for line in ax.lines if line.get_label() == name)
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


@pytest.mark.parametrize("x", ["step", "seconds"])
def test_a_line_is_the_mean_over_seeds(x: Literal["step", "seconds"]) -> None:
    curves = _curves()
    ax = convergence(curves.sample(frac=1, random_state=0), metric="recall", x=x)
    for method in ("a", "b"):
        places, values = _line(ax, method)
        for number, step in enumerate((0, 20, 40, 60)):
            rows = curves[(curves["method"] == method) & (curves["step"] == step)]
            assert values[number] == pytest.approx(sum(rows["recall"]) / 3)
            assert places[number] == pytest.approx(sum(rows[x]) / 3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (x, "recall")


def test_the_band_is_the_95_percent_t_interval() -> None:
    curves = _curves()
    ax = convergence(curves, metric="recall")
    bands = [each for each in ax.collections if isinstance(each, PolyCollection)]
    assert len(bands) == 2
    outline = bands[0].get_paths()[0].vertices
    values = curves[(curves["method"] == "a") & (curves["step"] == 40)]["recall"].to_numpy()
    mean = values.mean()
    std = np.sqrt(((values - mean) ** 2).sum() / 2)
    half = T_OF_TWO_FREEDOMS * std / np.sqrt(3)
    at_step = np.asarray(outline)[np.asarray(outline)[:, 0] == 40][:, 1]
    assert at_step.min() == pytest.approx(mean - half, rel=1e-6)
    assert at_step.max() == pytest.approx(mean + half, rel=1e-6)


def test_one_seed_has_no_band_and_says_so() -> None:
    ax = convergence(_curves(seeds=1), metric="recall")
    assert not ax.collections
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "one seed"


def test_the_legend_lists_the_highest_end_first_and_only_methods() -> None:
    ax = convergence(_curves(), metric="recall", baseline={"raw pixels": 0.2}, target=0.35)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["b", "a"]
    colours = [line.get_color() for line in legend.get_lines()]
    assert colours == [line_style(1)["color"], line_style(0)["color"]]


def test_baselines_are_dotted_named_lines_and_the_target_is_ringed_where_first_met() -> None:
    ax = convergence(_curves(), metric="recall", baseline={"raw pixels": 0.2}, target=0.35)
    level = next(line for line in ax.lines if np.ravel(line.get_ydata()).tolist() == [0.2, 0.2])
    assert level.get_linestyle() == ":"
    assert {text.get_text() for text in ax.texts} == {"raw pixels", "target 0.35"}
    rings = [line for line in ax.lines if line.get_marker() == "o"]
    places, values = _line(ax, "b")
    first = next(i for i, value in enumerate(values) if value >= 0.35)
    assert max(_line(ax, "a")[1]) < 0.35, "method a never gets there, so there is one ring"
    assert [np.ravel(ring.get_xydata()).tolist() for ring in rings] == [
        [places[first], values[first]]
    ]


def test_rows_without_a_value_are_left_out() -> None:
    curves = _curves()
    curves.loc[curves["step"] == 20, "recall"] = np.nan
    assert _line(convergence(curves, metric="recall"), "a")[0] == [0, 40, 60]


def test_styles_do_not_repeat_and_neighbours_differ_in_dashes() -> None:
    styles = [line_style(number) for number in range(35)]
    assert len({(style["color"], style["linestyle"]) for style in styles}) == 35
    for one, next_one in pairwise(styles):
        assert one["color"] != next_one["color"]
        assert one["linestyle"] != next_one["linestyle"]


def test_it_draws_where_it_is_told_and_leaves_the_table_alone() -> None:
    _, given = plt.subplots()
    curves = _curves()
    before = curves.copy()
    assert convergence(curves, metric="recall", ax=given) is given
    pd.testing.assert_frame_equal(curves, before)


def test_missing_columns_and_empty_metrics_are_said() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['eer'\]"):
        convergence(_curves(), metric="eer")
    with pytest.raises(ValueError, match="'recall' holds no value"):
        convergence(_curves().assign(recall=np.nan), metric="recall")


HISTORY = [
    {"step": 0, "seconds": 0.0, "recall_at_1": 0.2},
    {"step": 50, "seconds": 3.0, "recall_at_1": 0.6, "loss": 0.4},
    {"step": 100, "seconds": 6.0, "recall_at_1": 0.7, "loss": 0.1},
]


def test_the_history_of_a_fit_is_a_line_without_a_legend() -> None:
    ax = convergence(HISTORY, metric="recall_at_1", x="seconds")
    assert np.asarray(ax.lines[0].get_xydata()).tolist() == [[0, 0.2], [3, 0.6], [6, 0.7]]
    assert ax.get_legend() is None
    loss = convergence(HISTORY, metric="loss")
    assert np.asarray(loss.lines[0].get_xydata()).tolist() == [[50, 0.4], [100, 0.1]]


def test_histories_under_their_names_are_told_apart() -> None:
    ax = convergence({"mine": HISTORY, "yours": HISTORY[:2]}, metric="recall_at_1")
    assert [_line(ax, name)[0] for name in ("mine", "yours")] == [[0, 50, 100], [0, 50]]
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["mine", "yours"]


def test_what_is_no_history_is_said() -> None:
    with pytest.raises(ValueError, match="lacks the columns"):
        convergence([], metric="loss")
    with pytest.raises(TypeError, match=r"the history of a fit .* got Namespace"):
        convergence(argparse.Namespace(history=HISTORY), metric="loss")  # type: ignore[arg-type]
