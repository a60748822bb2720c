"""What the histogram draws is what was counted."""

from __future__ import annotations

import sys
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from metricface.evaluation import ClassDistances, class_distances
from metricface.plots import class_distance_histogram

Values: TypeAlias = "npt.NDArray[np.float64]"


@pytest.fixture(scope="module")
def measured() -> ClassDistances:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) // 6
    x = torch.randn(20, 8, generator=generator)[labels]
    return class_distances(x + 0.7 * torch.randn(120, 8, generator=generator), labels, bins=60)


def _steps(ax: Axes) -> dict[str, StepPatch]:
    return {str(patch.get_label()): patch for patch in ax.patches if isinstance(patch, StepPatch)}


def _legend(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]


def test_of_a_collapsed_model_it_says_so() -> None:
    ax = class_distance_histogram(class_distances(np.ones((8, 3)), [0, 1] * 4))
    assert _legend(ax)[0] == "all are equally far"


@pytest.mark.parametrize("log", [False, True])
def test_both_densities_have_area_one_and_the_counted_shape(
    measured: ClassDistances, log: bool
) -> None:
    ax = class_distance_histogram(measured, log=log)
    width = np.diff(measured.edges)
    steps = _steps(ax)
    for name, counts in (
        ("same identity", measured.intra),
        ("different identities", measured.inter),
    ):
        values, edges, _ = steps[name].get_data()
        np.testing.assert_array_equal(edges, measured.edges)
        assert (values * width).sum() == pytest.approx(1.0)
        np.testing.assert_allclose(values * width * counts.sum(), counts)
    assert ax.get_yscale() == ("log" if log else "linear")
    if log:
        smallest = min(values[values > 0].min() for values, _, _ in map(_data, steps.values()))
        assert 0 < ax.get_ylim()[0] < smallest


def _data(patch: StepPatch) -> tuple[Values, Values, object]:
    values, edges, baseline = patch.get_data()
    return np.asarray(values), np.asarray(edges), baseline


def test_the_shaded_area_is_the_overlap(measured: ClassDistances) -> None:
    shaded = next(
        patch for name, patch in _steps(class_distance_histogram(measured)).items() if "ove" in name
    )
    values, edges, _ = _data(shaded)
    assert 0.01 < measured.overlap < 0.99
    assert (values * np.diff(edges)).sum() == pytest.approx(measured.overlap)
    assert shaded.get_hatch()


def test_threshold_and_figures_stand_in_the_picture(measured: ClassDistances) -> None:
    ax = class_distance_histogram(measured)
    (line,) = ax.lines
    assert list(line.get_xdata()) == [measured.threshold] * 2  # type: ignore[arg-type]
    title, *entries = _legend(ax)
    assert title == f"d′ = {measured.d_prime:.2f}"
    assert f"threshold {measured.threshold:.3g}" in entries
    assert f"overlap {100 * measured.overlap:.1f} %" in entries


def test_a_small_threshold_is_not_written_as_nought() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.ones(8) + 0.01 * torch.randn(20, 8, generator=generator).repeat_interleave(2, dim=0)
    x += 0.001 * torch.randn(40, 8, generator=generator)
    found = class_distances(x, torch.arange(40) // 2)
    assert found.threshold < 0.005
    written = _legend(class_distance_histogram(found))[1:]
    (threshold,) = (text.split()[1] for text in written if text.startswith("threshold"))
    assert float(threshold) == pytest.approx(found.threshold, rel=0.005)


def test_without_colour_the_lines_still_differ(measured: ClassDistances) -> None:
    steps = _steps(class_distance_histogram(measured))
    dashes = {name: steps[name].get_linestyle() for name in list(steps) if "identit" in name}
    assert len(dashes) == len(set(dashes.values())) == 2


def test_no_pair_is_outside_the_picture(measured: ClassDistances) -> None:
    left, right = class_distance_histogram(measured).get_xlim()
    filled = np.flatnonzero(measured.intra + measured.inter)
    assert left == 0
    assert measured.edges[filled[-1] + 1] <= right <= measured.edges[-1]


def test_several_stand_above_each_other_over_one_axis(measured: ClassDistances) -> None:
    near = class_distances(torch.randn(40, 8) + 5, torch.arange(40) // 2)
    ax = class_distance_histogram({"before": near, "after": measured})
    before, after = (panel for panel in ax.child_axes if isinstance(panel, Axes))
    assert [panel.get_title(loc="left") for panel in (before, after)] == ["before", "after"]
    assert before.get_xlim() == after.get_xlim()
    assert (before.get_xlabel(), after.get_xlabel()) == ("", "distance")
    assert before.get_position().y0 > after.get_position().y0
    assert _legend(after)[0] == f"d′ = {measured.d_prime:.2f}"
    assert not ax.axison


def test_several_over_their_own_axes_are_as_wide_as_alone(measured: ClassDistances) -> None:
    generator = torch.Generator().manual_seed(0)
    near = class_distances(torch.randn(40, 8, generator=generator) + 90, torch.arange(40) // 2)
    together = class_distance_histogram({"before": near, "after": measured}, shared=False)
    for panel, each in zip(together.child_axes, (near, measured), strict=True):
        assert isinstance(panel, Axes)
        assert panel.get_xlim() == class_distance_histogram(each).get_xlim()
        assert panel.xaxis.get_tick_params()["labelbottom"]
    assert together.child_axes[0].get_xlim()[1] < 0.1


def test_it_draws_where_it_is_told(measured: ClassDistances) -> None:
    _, given = plt.subplots()
    assert class_distance_histogram(measured, ax=given) is given
    assert len(plt.get_fignums()) == 1


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="empty dict"):
        class_distance_histogram({})


def test_without_matplotlib_it_says_what_to_install(
    measured: ClassDistances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'metricface\[plots\]'"):
        class_distance_histogram(measured)
