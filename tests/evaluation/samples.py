"""Labelled sets on which every distance is an integer, so that equal is equal and exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from metricface.distances import SquaredEuclidean

EXACT = SquaredEuclidean(normalize=False)


class LabelledSet(NamedTuple):
    x: npt.NDArray[np.float32]
    labels: list[str]

    def __repr__(self) -> str:
        return f"LabelledSet({self.x.tolist()}, {self.labels})"


@st.composite
def labelled_sets(draw: st.DrawFn, size: int = 14) -> LabelledSet:
    """Few places and few identities: many ties and singletons; at least a pair of each kind.

    Centring must be exact too, so the rows are completed to a sum of 0.
    """
    count = draw(st.integers(1, size // 2))
    places = st.lists(st.integers(-3, 3), min_size=count, max_size=count)
    half = np.array([draw(places), draw(places)], dtype=np.float32).T
    x = np.concatenate([half, -half, np.zeros((2, 2), dtype=np.float32)])
    names = st.sampled_from(["anna", "ben", "carl", "dora", "emil"])
    labels = draw(st.lists(names, min_size=2 * count, max_size=2 * count))
    return LabelledSet(x, [*labels, "zoe", "zoe"])
