from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from metricface.data.detection.photographs import as_picture

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6)
COLOUR = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


def test_every_kind_is_the_same_picture(tmp_path: Path) -> None:
    planes = np.moveaxis(COLOUR, 2, 0)
    Image.fromarray(COLOUR).save(tmp_path / "photograph.png")
    kinds: list[Any] = [
        COLOUR,
        np.asfortranarray(COLOUR),
        torch.from_numpy(planes.copy()),
        torch.from_numpy(planes / np.float64(255)),
        torch.from_numpy(planes / np.float32(255)).requires_grad_(),
        tmp_path / "photograph.png",
        str(tmp_path / "photograph.png"),
    ]
    for kind in kinds:
        picture = as_picture(kind)
        assert picture.dtype == torch.float32
        assert not picture.requires_grad
        torch.testing.assert_close(picture, torch.from_numpy(planes.astype(np.float32)))


def test_what_is_seen_backwards_or_in_part_is_a_photograph() -> None:
    np.testing.assert_array_equal(as_picture(COLOUR[::-1, ::-2])[2], COLOUR[::-1, ::-2, 2])


def test_grey_is_one_plane() -> None:
    np.testing.assert_array_equal(as_picture(GREY), GREY[None])
    np.testing.assert_array_equal(as_picture(torch.from_numpy(GREY[None].copy())), GREY[None])


@pytest.mark.parametrize(
    ("image", "error", "sentence"),
    [
        (GREY.astype(np.float32), TypeError, "array of float32"),
        (GREY.astype(np.int64), TypeError, "array of int64"),
        (GREY > 3, TypeError, "array of bool"),
        (np.array([["a"]]), TypeError, "array of <U1"),
        (np.zeros((4, 6, 4), np.uint8), ValueError, r"shape \(4, 6, 4\)"),
        (np.zeros((3, 4, 6), np.uint8), ValueError, r"shape \(3, 4, 6\)"),
        (np.zeros((2, 4, 6, 3), np.uint8), ValueError, "one at a time"),
        (np.zeros(6, np.uint8), ValueError, r"shape \(6,\)"),
        (torch.zeros(4, 6), ValueError, r"shape \(4, 6\)"),
        (torch.zeros(4, 6, 3), ValueError, r"\[C, H, W\].*shape \(4, 6, 3\)"),
        (torch.zeros(2, 3, 4, 6), ValueError, "one at a time"),
        (torch.zeros(3, 4, 6, dtype=torch.int64), TypeError, "tensor of torch.int64"),
        (torch.zeros(3, 4, 6, dtype=torch.complex64), TypeError, "complex64"),
        (torch.full((3, 4, 6), 255.0), ValueError, "got 255 to 255; pixels from 0 to 255"),
        (torch.full((3, 4, 6), -0.1), ValueError, "go from 0 to 1"),
        (torch.full((3, 4, 6), float("nan")), ValueError, "got nan"),
        (torch.full((3, 4, 6), float("inf")), ValueError, "got inf"),
        (Image.fromarray(COLOUR), TypeError, r"np.asarray\(picture.convert\('RGB'\)\)"),
        ([COLOUR], TypeError, "got list"),
        (None, TypeError, "got None"),
    ],
)
def test_anything_else_is_an_error_that_says_what_arrived(
    image: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        as_picture(image)


def test_a_single_nan_is_seen() -> None:
    image = torch.full((3, 40, 60), 0.5)
    image[1, 20, 30] = float("nan")
    with pytest.raises(ValueError, match="got nan"):
        as_picture(image)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"broken\.jpg is no readable image"):
        as_picture(tmp_path / "broken.jpg")
    with pytest.raises(FileNotFoundError):
        as_picture(tmp_path / "missing.jpg")
