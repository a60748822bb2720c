"""ROC, CMC, similarity matrix and the sheet of hardest pairs draw what was measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from metricface import plots
from metricface.distances import SquaredEuclidean
from metricface.evaluation import (
    Identification,
    Verification,
    hardest_pairs,
    identification,
    verification,
)

GENERATOR = np.random.default_rng(0)
LABELS = np.arange(60) // 6
X = GENERATOR.normal(size=(10, 6))[LABELS] + 0.6 * GENERATOR.normal(size=(60, 6))


@pytest.fixture(scope="module")
def verified() -> Verification:
    return verification(X, LABELS, fars=(0.1,))


@pytest.fixture(scope="module")
def identified() -> Identification:
    return identification(X[::2], LABELS[::2], X[1::2], LABELS[1::2], distractors=X[:10] + 3)


def _curve(ax: Axes, number: int = 0) -> tuple[list[float], list[float]]:
    line = ax.lines[number]
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def _legend(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_the_roc_is_the_curve_measured(verified: Verification) -> None:
    ax = plots.roc(verified)
    far, tar = _curve(ax)
    inside = verified.roc.far > 0
    np.testing.assert_array_equal(np.array(far)[inside], verified.roc.far[inside])
    np.testing.assert_array_equal(tar, verified.roc.tar)
    assert ax.get_xscale() == "log"
    assert 0 < min(far) < ax.get_xlim()[0] == 1 / verified.impostor_pairs
    assert _legend(ax) == [f"EER {100 * verified.eer:.1f} %, AUC {verified.auc:.4f}"]


def test_several_rocs_are_told_apart_without_colour(verified: Verification) -> None:
    ax = plots.roc({"one": verified, "other": verified.roc}, log=False)
    assert ax.get_xscale() == "linear"
    assert _curve(ax)[0] == verified.roc.far.tolist()
    assert [line.get_linestyle() for line in ax.lines][:2] == ["-", "--"]
    assert _curve(ax, 2) == ([0, 1], [0, 1])
    assert [name.split("\n")[0] for name in _legend(ax)] == ["one", "other", "chance"]


def test_the_cmc_begins_at_rank_one_and_shows_the_ranks_asked_for(
    identified: Identification,
) -> None:
    ax = plots.cmc({"a": identified, "b": identified}, ranks=7, log=True)
    ranks, rates = _curve(ax)
    assert ranks == [1, 2, 3, 4, 5, 6, 7]
    assert rates == identified.cmc[:7].tolist()
    assert ax.get_xlim() == (1, 7)
    assert ax.get_xscale() == "log"
    assert _legend(ax)[0] == f"a\nrank 1: {100 * identified.rank[1]:.1f} %"


@pytest.mark.parametrize("log", [False, True])
def test_a_single_rank_is_a_mark_where_a_line_would_show_nothing(
    identified: Identification, log: bool
) -> None:
    ax = plots.cmc(identified, ranks=1, log=log)
    assert _curve(ax) == ([1], [identified.cmc[0]])
    assert ax.lines[0].get_marker() == "o"
    assert plots.cmc(identified, ranks=2).lines[0].get_marker() == "None"


def test_the_matrix_is_sorted_by_identity() -> None:
    names = ["ben", "anna", "ben", "carl", "anna"]
    x = np.random.default_rng(1).normal(size=(5, 3))
    ax = plots.similarity_matrix(x, names)
    order = [1, 4, 0, 2, 3]
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True))[order]
    expected = ((unit[:, None] - unit) ** 2).sum(axis=2)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), expected, atol=1e-12)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["anna", "ben", "carl"]
    assert ax.get_yticks().tolist() == [0.5, 2.5, 4.0]
    between = sorted({float(np.ravel(line.get_ydata())[0]) for line in ax.lines[::2]})
    assert between == [1.5, 3.5]
    assert not plots.similarity_matrix(np.eye(31), list(range(31))).get_yticks().size


def test_the_sheet_shows_the_images_of_the_pairs_in_order() -> None:
    images = np.arange(60, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), dtype=np.uint8)
    found = hardest_pairs(X, LABELS, count=3)
    ax = plots.hardest_pairs_sheet(images, found, labels=[f"p{i}" for i in LABELS])
    panels = [panel for panel in ax.child_axes if isinstance(panel, Axes)]
    pairs = [*found.impostors.tolist(), *found.genuine.tolist()]
    distances = [*found.impostor_distances, *found.genuine_distances]
    assert len(panels) == 6
    for panel, (i, j), distance in zip(panels, pairs, distances, strict=True):
        shown = np.asarray(panel.images[0].get_array())
        assert shown.shape == (4, 10)
        np.testing.assert_allclose(shown[0, [0, 9]], [i / 255, j / 255], rtol=1e-6)
        assert panel.get_title() == f"{distance:.2f}"
        assert panel.get_xlabel() == " · ".join(dict.fromkeys(f"p{LABELS[k]}" for k in (i, j)))
    assert panels[0].get_position().y0 > panels[3].get_position().y0


@pytest.mark.parametrize(
    "scale", [lambda x: x * 255, lambda x: x * 2 - 1, lambda x: (x * 255).int()]
)
def test_pixels_of_another_range_are_refused(scale: Callable[[Any], Any]) -> None:
    """They would come out white, or black and white."""
    images = torch.linspace(0, 1, 60)[:, None, None] * torch.linspace(0, 1, 20).view(4, 5)
    found = hardest_pairs(X, LABELS, count=3)
    plots.hardest_pairs_sheet(images * 1.04 - 0.02, found)  # as interpolation overshoots
    with pytest.raises(ValueError, match=r"images must be in 0 … 1, or uint8; one is from .* to"):
        plots.hardest_pairs_sheet(scale(images), found)


def test_the_roc_reaches_down_to_a_single_impostor_pair() -> None:
    # the only genuine pair is farther apart than several impostors: the curve's least FAR is theirs
    x = np.array([[0.0], [1.0], [0.5], [0.5], [9.0], [0.5]])
    measure = SquaredEuclidean(normalize=False)
    found = verification(x, [0, 0, 1, 2, 3, 4], folds=1, fars=(0.5,), distance=measure)
    first = found.roc.far[found.roc.far > 0][0]
    assert first > 1 / found.impostor_pairs
    ax = plots.roc(found)
    far, tar = _curve(ax)
    assert min(far) < ax.get_xlim()[0] == 1 / found.impostor_pairs, "no stretch without a line"
    assert tar[int(np.argmin(far))] == 0


@pytest.mark.parametrize("shape", [(60, 1, 4, 5), (60, 3, 4, 5), (60, 4, 5, 3), (60, 4, 5, 1)])
def test_images_with_channels_are_taken(shape: tuple[int, ...]) -> None:
    found = hardest_pairs(X, LABELS, count=1)
    ax = plots.hardest_pairs_sheet(np.zeros(shape), found)
    panel = ax.child_axes[0]
    assert isinstance(panel, Axes)
    shown = np.asarray(panel.images[0].get_array()).shape
    assert shown == ((4, 10) if 1 in shape else (4, 10, 3))


def test_every_picture_draws_where_it_is_told(
    verified: Verification, identified: Identification
) -> None:
    _, given = plt.subplots()
    assert plots.roc(verified, ax=given) is given
    assert plots.cmc(identified, ax=given) is given
    assert plots.similarity_matrix(X, LABELS, ax=given) is given
    assert plots.hardest_pairs_sheet(np.zeros((60, 2, 2)), hardest_pairs(X, LABELS), ax=given)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.roc({}), "curves is an empty dict"),
        (lambda: plots.cmc({}), "found is an empty dict"),
        (lambda: plots.similarity_matrix(np.eye(2), [1]), "2 embeddings came with 1 labels"),
        (
            lambda: plots.similarity_matrix(np.ones((4097, 1)), np.zeros(4097, dtype=int)),
            "shows 1 to 4096 embeddings, got 4097",
        ),
        (
            lambda: plots.hardest_pairs_sheet(np.zeros((3, 2, 2)), hardest_pairs(X, LABELS)),
            "the pairs speak of row",
        ),
        (
            lambda: plots.hardest_pairs_sheet(np.zeros((60, 5, 2, 2)), hardest_pairs(X, LABELS)),
            r"got one of \(5, 2, 2\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize("draw", [plots.roc, plots.cmc, plots.class_distance_histogram])
@pytest.mark.parametrize("given", [X, {"mine": X}], ids=["array", "dict"])
def test_embeddings_are_no_measurement(draw: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(TypeError, match=r"must be \w+.* of metricface.evaluation, got ndarray"):
        draw(given)


def test_without_matplotlib_it_says_what_to_install(
    verified: Verification, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'metricface\[plots\]'"):
        plots.roc(verified)
