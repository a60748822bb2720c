from __future__ import annotations

from typing import Literal

import pytest
import torch

from metricface.data.detection.boxes import moved, squared, strongest
from tests.live_bytes import peak_mib
from tests.oracles import detection as oracle


@pytest.mark.parametrize("of", ["union", "smaller"])
@pytest.mark.parametrize("most", [0.3, 0.5, 0.7])
def test_the_same_boxes_stay_as_in_slow_loops(of: Literal["union", "smaller"], most: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (0, 1, 2, 200):
        corners = torch.randint(60, (n, 2), generator=generator)
        sides = torch.randint(1, 30, (n, 2), generator=generator)
        boxes = torch.cat([corners, corners + sides], 1).double()
        scores = torch.rand(n, generator=generator, dtype=torch.float64)
        # Areas are whole numbers, and none of the shares is met exactly but for 0.5.
        expected = oracle.strongest(boxes.tolist(), scores.tolist(), most, of)
        assert strongest(boxes, scores, most, of=of).tolist() == expected
        assert n < 200 or 10 < len(expected) < n


def test_of_equal_scores_the_first_stays() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(3, 1)
    assert strongest(boxes, torch.ones(3), 0.5).tolist() == [0]


def test_memory_grows_with_the_boxes_and_not_with_their_square() -> None:
    corners = torch.arange(500.0)[:, None].expand(-1, 2)
    boxes = torch.cat([corners, corners + 0.5], 1)
    assert peak_mib(lambda: strongest(boxes, torch.rand(500), 0.5)) < 0.3


def test_a_box_inside_another_goes_by_the_smaller_area_alone() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [2.0, 2.0, 6.0, 6.0]])
    scores = torch.tensor([0.9, 0.8])
    assert strongest(boxes, scores, 0.7).tolist() == [0, 1]
    assert strongest(boxes, scores, 0.7, of="smaller").tolist() == [0]


def test_boxes_without_area_do_not_divide_by_zero() -> None:
    boxes = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 9.0, 9.0]])
    assert 2 in strongest(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)


def test_edges_move_by_shares_of_their_own_box() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 40.0], [5.0, 5.0, 25.0, 15.0]])
    moves = torch.tensor([[0.5, 0.25, -0.5, 0.0], [0.0, 0.0, 1.0, 1.0]])
    assert moved(boxes, moves).tolist() == [[5, 10, 5, 40], [5, 5, 45, 25]]


def test_squares_are_of_whole_pixels_about_the_same_centre() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 40.0], [5.2, 5.1, 25.4, 15.3], [-8.0, -8.0, 4.0, 0.0]])
    found = squared(boxes)
    assert found.tolist() == [[-15, 0, 25, 40], [5, 0, 25, 20], [-8, -10, 4, 2]]
