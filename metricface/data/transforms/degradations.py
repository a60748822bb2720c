"""Images made worse in a measured way, to see what a model still makes of them."""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt

from metricface.data.images.image_set import ImageSet
from metricface.data.pixels.decoding import decoded, require_pillow
from metricface.data.pixels.resampling import resampled


def jpeg_quality(images: ImageSet, quality: int) -> ImageSet:
    """What JPEG compression leaves of each image.

    Args:
        images: the set; it stays as it is.
        quality: 1 to 95, as Pillow and libjpeg count it; colour is stored at half resolution, as
            is usual.

    Returns:
        New images of the same size, labels and names.

    Raises:
        TypeError: no ImageSet.
        ValueError: quality out of range.
        ImportError: Pillow is not installed.

    Example:
        >>> plain = ImageSet(np.full((1, 8, 8), 100, np.uint8), np.array([0]), ("plain",))
        >>> np.unique(jpeg_quality(plain, 90).images)
        array([100], dtype=uint8)

    Reference:
        Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and
        Clustering", CVPR 2015, section 5.3.
    """
    _check_set(images)
    require_pillow()
    if not 1 <= quality <= 95:
        raise ValueError(f"quality must be from 1 to 95, got {quality}")
    out = np.empty(images.images.shape, np.uint8)
    for i, image in enumerate(images.images):
        out[i] = decoded(_jpeg(image, quality), colour=image.ndim == 3)
    return ImageSet(out, images.labels, images.names)


def pixel_count(images: ImageSet, count: int) -> ImageSet:
    """What is left of each image after it has been stored with about ``count`` pixels.

    Height and width are multiplied by ``sqrt(count / (H·W))`` and rounded, by averaging over the
    area of each new pixel; then the image is enlarged bilinearly to its former size, so that the
    same network takes it.

    Args:
        images: the set; it stays as it is.
        count: 1 to ``H·W``, which changes nothing.

    Returns:
        New images of the same size, labels and names.

    Raises:
        TypeError: no ImageSet.
        ValueError: count out of range.

    Example:
        >>> dots = ImageSet(np.array([[[0, 80], [80, 80]]], np.uint8), np.array([0]), ("dots",))
        >>> pixel_count(dots, 1).images
        array([[[60, 60],
                [60, 60]]], dtype=uint8)

    Reference:
        Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and
        Clustering", CVPR 2015, section 5.3.
    """
    _check_set(images)
    height, width = images.images.shape[1:3]
    if not 1 <= count <= height * width:
        raise ValueError(
            f"count must be from 1 to the {height * width} pixels of an image, got {count}"
        )
    factor = math.sqrt(count / (height * width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    small = resampled(images.images, size)
    back = resampled(small, (height, width), mode="bilinear")
    return ImageSet(back, images.labels, images.names)


def _check_set(images: object) -> None:
    if not isinstance(images, ImageSet):
        raise TypeError(
            f"images must be an ImageSet, got {type(images).__name__}: image_array(pixels, labels) "
            "makes one of arrays, load() one of files"
        )


def _jpeg(image: npt.NDArray[np.uint8], quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()
