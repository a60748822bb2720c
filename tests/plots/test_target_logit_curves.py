"""The curves are the classifiers' own target logits, in degrees."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import pyplot as plt

from metricface.classifiers import ArcFace, Classifier, CosFace, NormFace
from metricface.plots import target_logit_curves
from metricface.plots.palette import line_style
from tests.cases import CLASSIFIERS
from tests.oracles.classifiers import arcface

HEADS: dict[str, Classifier] = {
    "softmax": NormFace(9, 4),
    "CosFace": CosFace(9, 4),
    "ArcFace": ArcFace(9, 4),
}


def test_each_line_is_the_target_logit_at_its_angle() -> None:
    ax = target_logit_curves(HEADS, steps=181)
    expected: dict[str, Callable[[float], float]] = {
        "softmax": math.cos,
        "CosFace": lambda theta: math.cos(theta) - 0.35,
        "ArcFace": lambda theta: arcface(theta, 0.5),
    }
    assert [line.get_label() for line in ax.lines] == list(expected)
    for line in ax.lines:
        degrees, logit = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert degrees.tolist() == pytest.approx(list(range(181)))
        formula = expected[str(line.get_label())]
        assert logit.tolist() == pytest.approx([formula(math.radians(d)) for d in range(181)])


def test_every_classifier_can_be_drawn() -> None:
    ax = target_logit_curves({name: make(9, 4) for name, make in CLASSIFIERS.items()}, steps=5)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(CLASSIFIERS)
    for number, line in enumerate(ax.lines):
        assert line.get_color() == line_style(number)["color"]
        assert np.isfinite(np.asarray(line.get_ydata())).all()


def test_it_draws_where_it_is_told() -> None:
    _, ax = plt.subplots()
    assert target_logit_curves(HEADS, ax=ax) is ax


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        target_logit_curves({})
    with pytest.raises(ValueError, match="at least 2, got 1"):
        target_logit_curves(HEADS, steps=1)
