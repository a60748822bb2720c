from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.data.sets.distinct import distinct
from tests.oracles import data as oracle

# The distances of 2 x 1 pictures in these greys hit the thresholds exactly.
_greys = st.lists(st.sampled_from([0, 51, 102, 255]), min_size=4, max_size=4)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(_greys, min_size=0, max_size=9),
    st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(1, 5), Fraction(1, 2), Fraction(2)]),
)
def test_it_is_the_greedy_choice(pictures: list[list[int]], threshold: Fraction) -> None:
    images = np.array(pictures, np.uint8).reshape(-1, 2, 1, 2)
    kept = distinct(images, float(threshold))
    assert kept.dtype == np.int64
    assert kept.tolist() == oracle.distinct(pictures, threshold)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        distinct(np.zeros((3, 4), np.uint8), 0.1)
    for threshold in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="threshold"):
            distinct(np.zeros((1, 1, 1, 1), np.uint8), threshold)
