"""The measurement of alignment: its photographs, and what it says of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.faces.alignment import photographs
from benchmarks.faces.comparison import METRIC, report


def test_photographs_are_the_pictures_turned_and_never_black() -> None:
    pictures = np.full((6, 112, 92), 200, np.uint8)
    assert (photographs(pictures, 30) == 200).all()
    pictures[:, 40:60, 30:60] = 90
    first, again = photographs(pictures, 15), photographs(pictures, 15)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first.reshape(6, -1), axis=0)) == 6
    parts = (first < 145).sum((1, 2)) / (20 * 30)
    assert 1 / 1.25**2 - 0.05 <= parts.min() < parts.max() <= 1.25**2 + 0.05


@pytest.mark.parametrize(("gain", "verdict"), [(0.2, ": a difference."), (0.0, ": no difference")])
def test_the_report_says_whether_alignment_helped(gain: float, verdict: str) -> None:
    rows = [
        {"form": form, "method": method, "fold": fold, "seed": 0, "eer": 0.1, METRIC: tar}
        for form in ("aligned", "box", "whole", "original")
        for method in ("cosface", "pixels")
        for fold in range(5)
        for tar in [0.5 + 0.01 * (fold * 7 % 5 if form == "box" else fold)]
        for tar in [tar + (gain if form == "aligned" else 0)]
    ]
    text = report(pd.DataFrame(rows), degrees=15, steps=10, missed=3, side=56)
    assert "no face in 3 of 400" in text
    line = next(row for row in text.splitlines() if "trained network, aligned less box" in row)
    assert f"{gain:+.3f}" in line
    assert verdict in line
