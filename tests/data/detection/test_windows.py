from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from metricface.data.detection import windows
from metricface.data.detection.networks import network


def test_the_largest_size_makes_the_smallest_face_one_window() -> None:
    sizes = windows.pyramid_sizes(480, 640, min_face=40, factor=0.709)
    assert sizes[0] == (144, 192)
    assert min(sizes[-1]) >= windows.WINDOW
    assert min(sizes[-1]) * 0.709 < windows.WINDOW
    for (height, width), (lower, narrower) in pairwise(sizes):
        assert lower == pytest.approx(0.709 * height, abs=1)
        assert narrower == pytest.approx(0.709 * width, abs=1)


@pytest.mark.parametrize("side", [20, 33, 49])
def test_a_photograph_of_one_smallest_face_has_a_size_and_a_smaller_one_has_none(side: int) -> None:
    assert windows.pyramid_sizes(side, side, min_face=side, factor=0.7) == [(12, 12)]
    assert windows.pyramid_sizes(side - 1, 500, min_face=side, factor=0.7) == []
    assert windows.pyramid_sizes(0, 0, min_face=side, factor=0.7) == []


@pytest.mark.parametrize(("height", "width"), [(12, 12), (13, 40), (40, 13), (41, 30), (62, 31)])
@pytest.mark.parametrize("pixels", [1, 31 * 20, 1 << 20])
def test_stripes_show_the_network_what_the_whole_picture_does(
    height: int, width: int, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_STRIPE", pixels)
    torch.manual_seed(0)
    proposals = network("pnet").double()
    picture = torch.rand(3, height, width, dtype=torch.float64)
    whole = proposals(picture[None])
    parts = list(windows.stripes(picture))
    assert len(parts) == 1 or pixels < height * width
    answers = [proposals(part[None]) for _, part in parts]
    rows = [0]
    for moves, _ in answers[:-1]:
        rows.append(rows[-1] + moves.shape[2])
    assert [row for row, _ in parts] == rows
    for one, together in zip(whole, zip(*answers, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(together, dim=-2), one)


def test_what_lies_outside_is_black_on_every_side() -> None:
    picture = torch.arange(1.0, 13.0).reshape(1, 3, 4)
    boxes = torch.tensor([[-2, -1, 2, 3], [2, 1, 6, 5], [0, 0, 2, 2]])
    corner, far, inside = windows.cut(picture, boxes, 4)[:, 0]
    assert corner.tolist() == [[0, 0, 0, 0], [0, 0, 1, 2], [0, 0, 5, 6], [0, 0, 9, 10]]
    assert far.tolist() == [[7, 8, 0, 0], [11, 12, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert inside.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [5, 5, 6, 6], [5, 5, 6, 6]]


def test_a_part_is_shrunk_by_means() -> None:
    picture = torch.arange(16.0).reshape(1, 4, 4)
    assert windows.cut(picture, torch.tensor([[0, 0, 4, 4]]), 2).tolist() == [
        [[[2.5, 4.5], [10.5, 12.5]]]
    ]
