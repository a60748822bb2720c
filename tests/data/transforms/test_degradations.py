from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metricface.data import ImageSet, image_array, jpeg_quality, pixel_count
from tests.oracles import data as oracle


def _waves(colour: bool) -> ImageSet:
    row, column = np.mgrid[:24, :18]
    picture = np.sin(row / 3) + np.cos(column / 2)
    stack = np.stack([picture, -picture, picture**2 - 1])
    images = (127 + 60 * stack).astype(np.uint8)
    if colour:
        images = np.stack([images, images[::-1], images[[1, 0, 2]]], axis=3)
    return ImageSet(images, np.array([0, 1, 1]), ("a", "b"))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("quality", [1, 10, 95])
def test_jpeg_is_what_a_file_of_that_quality_holds(
    tmp_path: Path, colour: bool, quality: int
) -> None:
    data = _waves(colour)
    out = jpeg_quality(data, quality)
    for before, after in zip(data.images, out.images, strict=True):
        Image.fromarray(before).save(tmp_path / "it.jpg", quality=quality)
        with Image.open(tmp_path / "it.jpg") as stored:
            np.testing.assert_array_equal(after, np.asarray(stored))
    assert out.labels.tolist() == [0, 1, 1]
    assert out.names == ("a", "b")


@pytest.mark.parametrize("colour", [False, True])
def test_lower_quality_loses_more(colour: bool) -> None:
    data = _waves(colour)
    losses = [
        np.square(jpeg_quality(data, quality).images - data.images.astype(float)).mean()
        for quality in (95, 70, 30, 10, 1)
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1] / 4


def test_pixels_are_averaged_rounded_and_enlarged() -> None:
    data = _waves(True)
    out = pixel_count(data, 100)  # 24 x 18 times sqrt(100 / 432): 12 x 9, rounded from 11.5 x 8.7
    for n, channel in np.ndindex(3, 3):
        averages = oracle.area_average(data.images[n, :, :, channel].tolist(), 12, 9)
        small = [[round(value) for value in row] for row in averages]
        expected = oracle.triangle(small, 24, 18, widened=False)
        np.testing.assert_allclose(out.images[n, :, :, channel], expected, rtol=0, atol=1)
    assert out.labels.tolist() == [0, 1, 1]


def test_pixel_counts_at_both_ends() -> None:
    data = _waves(False)
    np.testing.assert_array_equal(pixel_count(data, 24 * 18).images, data.images)
    flat = pixel_count(data, 1).images
    for image, after in zip(data.images, flat, strict=True):
        assert set(after.ravel().tolist()) == {round(float(image.mean()))}


def test_the_detail_left_grows_with_the_count() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 32, 32), np.uint8)
    data = ImageSet(noise, np.zeros(5, np.int64), ("noise",))
    detail = [pixel_count(data, count).images.std() for count in (4, 64, 256, 1024)]
    assert detail == sorted(detail)
    assert detail[0] < detail[-1] / 5


def test_the_given_set_stays_as_it_is_also_a_mapped_one(tmp_path: Path) -> None:
    data = _waves(True)
    np.save(tmp_path / "first.npy", np.moveaxis(data.images, 3, 1))
    mapped = image_array(tmp_path / "first.npy", data.labels)
    np.testing.assert_array_equal(jpeg_quality(mapped, 20).images, jpeg_quality(data, 20).images)
    np.testing.assert_array_equal(pixel_count(mapped, 50).images, pixel_count(data, 50).images)
    np.testing.assert_array_equal(data.images, _waves(True).images)


def test_empty_sets() -> None:
    empty = _waves(False).subset([])
    assert jpeg_quality(empty, 50).images.shape == (0, 24, 18)
    assert pixel_count(empty, 50).images.shape == (0, 24, 18)


@pytest.mark.parametrize("quality", [0, 96, -1])
def test_bad_quality(quality: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 95, got {quality}"):
        jpeg_quality(_waves(False), quality)


@pytest.mark.parametrize("count", [0, 433])
def test_bad_counts(count: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to the 432 pixels of an image, got {count}"):
        pixel_count(_waves(False), count)


def test_without_pillow_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"needs Pillow: pip install 'metricface\[images\]'$"):
        jpeg_quality(_waves(False), 50)


@pytest.mark.parametrize("change", [jpeg_quality, pixel_count])
def test_what_is_no_set_of_images_is_said(change: Any) -> None:
    for other in (_waves(False).images, [1], None):
        words = f"must be an ImageSet, got {type(other).__name__}: image_array"
        with pytest.raises(TypeError, match=words):
            change(other, 10)
