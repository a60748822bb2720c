"""The sheet of identities shows their own images, a row each, and says what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from metricface.plots import identity_sheet

LABELS = ["ben", "anna", "ben", "c$1$", "ben", "anna"]
IMAGES = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), dtype=np.uint8)


def _panels(ax: Axes) -> list[Axes]:
    return [panel for panel in ax.child_axes if isinstance(panel, Axes)]


def _numbers(ax: Axes) -> list[int]:
    """Which images stand on a sheet, in its order."""
    arrays = (np.asarray(panel.images[0].get_array()) for panel in _panels(ax))
    return [round(float(array.flat[0]) * 255) for array in arrays]


def test_each_identity_has_a_row_of_its_own_images_under_its_name() -> None:
    ax = identity_sheet(IMAGES, LABELS)
    assert [text.get_text() for text in ax.texts] == ["anna", "ben", "c$1$"]
    assert not any(text.get_parse_math() for text in ax.texts)
    assert _numbers(ax) == [1, 5, 0, 2, 4, 3]
    heights = [round(panel.get_position().y0, 6) for panel in _panels(ax)]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 3


def test_those_asked_for_come_in_that_order_and_what_is_left_out_is_said() -> None:
    ax = identity_sheet(IMAGES, LABELS, identities=["c$1$", "ben"], columns=2)
    assert [text.get_text() for text in ax.texts] == ["c$1$", "ben, 2 of 3"]
    assert _numbers(ax) == [3, 0, 2]
    assert identity_sheet(IMAGES, LABELS, identities=["ben"], ax=ax) is ax


def test_tensors_of_colour_and_whole_numbers_as_labels_are_taken() -> None:
    ax = identity_sheet(torch.zeros(3, 3, 4, 5), torch.tensor([7, 7, 2]), identities=[7])
    assert [np.asarray(panel.images[0].get_array()).shape for panel in _panels(ax)] == [
        (4, 5, 3),
        (4, 5, 3),
    ]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: identity_sheet(IMAGES, LABELS[:4]), "6 images came with 4 labels"),
        (lambda: identity_sheet(IMAGES, LABELS, identities=["eve"]), "of identity 'eve'"),
        (lambda: identity_sheet(IMAGES, LABELS, identities=[]), "1 to 64 identities, got 0"),
        (lambda: identity_sheet(np.zeros((65, 2, 2)), list(range(65))), "identities, got 65: name"),
        (lambda: identity_sheet(IMAGES, LABELS, columns=0), "columns must be at least 1"),
        (lambda: identity_sheet(np.zeros((1, 2, 2, 5)), [0]), r"got one of \(2, 2, 5\)"),
    ],
)
def test_what_cannot_be_shown_is_said(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()
