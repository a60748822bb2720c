"""The threshold of least error, where it is chosen: exact ties, and counts of any size."""

from __future__ import annotations

import numpy as np
import pytest

from metricface.evaluation.class_distances import least_error_edge
from metricface.evaluation.operating_points import OperatingPoints, ThresholdGrid


def points(genuine: list[int], impostor: list[int], of_impostor: int) -> OperatingPoints:
    return OperatingPoints(
        thresholds=np.array([-np.inf, *range(1, len(genuine))]),
        genuine=np.array([genuine], dtype=np.int64),
        impostor=np.array([impostor], dtype=np.int64),
        nearer=np.zeros(len(genuine), dtype=np.int64),
        genuine_total=np.array([genuine[-1]], dtype=np.int64),
        impostor_total=np.array([of_impostor], dtype=np.int64),
        grid=ThresholdGrid(1.0),
        cells=np.zeros((1, 1), dtype=np.int64),
    )


def test_the_product_of_the_counts_may_exceed_63_bits() -> None:
    """All pairs of 1,000,000 images of 10,000 identities: 5e7 genuine, 5e11 impostors."""
    genuine, impostor = [0, 10**7, 4 * 10**7, 5 * 10**7], [0, 10**3, 10**9, 5 * 10**11]
    assert points(genuine, impostor, 5 * 10**11).best_threshold(balanced=True) == 2
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    edge, error = least_error_edge(edges, np.diff(genuine), np.diff(impostor))
    assert edge == 2.0
    assert error == pytest.approx((0.2 + 0.002) / 2)


@pytest.mark.parametrize(
    ("intra", "inter", "edge"),
    [
        ([1, 3, 1, 0, 0, 0], [0, 0, 1, 3, 1, 0], 2.5),  # a fifth of each kind between 2 and 3
        ([3, 0, 1, 0, 0, 1], [2, 1, 1, 3, 3, 0], 1.0),  # 3 is as good
        ([3, 1, 3, 3, 2], [1, 0, 2, 2, 3], 3.0),  # the stretch from 2 to 4
        ([1, 1, 1], [16, 16, 16], 1.5),  # nothing is told apart
    ],
)
def test_equally_good_edges_are_equal_though_shares_are_rounded(
    intra: list[int], inter: list[int], edge: float
) -> None:
    edges = np.arange(len(intra) + 1.0)
    assert least_error_edge(edges, np.array(intra), np.array(inter))[0] == edge
