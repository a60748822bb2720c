from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.data.pixels.resampling import resampled
from tests.oracles import data as oracle

_SIDE = st.integers(1, 9)


@settings(deadline=None, max_examples=60)
@given(_SIDE, _SIDE, _SIDE, _SIDE, st.integers(0, 99))
def test_area_and_bilinear_against_the_definitions(
    height: int, width: int, new_height: int, new_width: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), np.uint8)
    size = (new_height, new_width)
    area, bilinear = resampled(images, size), resampled(images, size, mode="bilinear")
    for n, channel in np.ndindex(2, 3):
        image = images[n, :, :, channel].tolist()
        exact = np.array(oracle.area_average(image, *size), float)
        # Half a step from rounding, and what float32 adds to it.
        np.testing.assert_allclose(area[n, :, :, channel], exact, rtol=0, atol=0.501)
        between = oracle.triangle(image, *size, widened=False)
        np.testing.assert_allclose(bilinear[n, :, :, channel], between, rtol=0, atol=0.501)


@pytest.mark.parametrize("mode", ["area", "bilinear"])
@pytest.mark.parametrize("shape", [(600, 4, 6), (600, 4, 6, 3), (0, 4, 6)])
def test_the_layout_stays_and_blocks_change_nothing(
    mode: Literal["area", "bilinear"], shape: Any
) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    out = resampled(images, (3, 7), mode=mode)
    assert out.shape == (shape[0], 3, 7, *shape[3:])
    for i in range(0, shape[0], 97):
        np.testing.assert_array_equal(out[i], resampled(images[i : i + 1], (3, 7), mode=mode)[0])


def test_the_same_size_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    np.testing.assert_array_equal(resampled(images, (5, 7)), images)
    np.testing.assert_array_equal(resampled(images, (5, 7), mode="bilinear"), images)
