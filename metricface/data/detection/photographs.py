"""Photographs as they are given, as one kind of tensor."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.data.pixels.decoding import read_image
from metricface.given import arrived

Photograph = npt.NDArray[np.uint8] | Tensor | str | os.PathLike[str]

_KINDS = (
    "a uint8 array [H, W] or [H, W, 3] in the order red, green, blue, a tensor [C, H, W] of uint8 "
    "or of floats from 0 to 1, or a path"
)


def as_picture(image: Photograph) -> Tensor:
    """A photograph as one plane, where it is grey, or as red, green and blue planes.

    Args:
        image: a uint8 array ``[H, W]`` or ``[H, W, 3]``, a tensor ``[1, H, W]`` or ``[3, H, W]``
            of uint8 or of floats from 0 to 1, or the path of an image file.

    Returns:
        ``[1, H, W]`` or ``[3, H, W]``, float32 from 0 to 255, where the tensor was, without its
        gradient.

    Raises:
        TypeError: anything else, other kinds of numbers included.
        ValueError: another shape, NaN, or floats outside 0 to 1; no image in the file.
        OSError: the file cannot be read.
        ImportError: a path is given and Pillow is not installed.

    Example:
        >>> as_picture(torch.full((1, 4, 6), 0.2)).shape
        torch.Size([1, 4, 6])
    """
    if isinstance(image, str | os.PathLike):
        image = read_image(image, colour=True)
    if isinstance(image, np.ndarray):
        planes = torch.from_numpy(np.ascontiguousarray(_channels_first(image)))
    elif isinstance(image, Tensor):
        planes = _checked(image.detach())
    else:
        raise TypeError(
            f"a photograph is {_KINDS}; got {arrived(image)}. A picture of Pillow is given as "
            "np.asarray(picture.convert('RGB'))"
        )
    return planes.to(torch.float32)


def _channels_first(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if image.dtype != np.uint8:
        raise TypeError(f"a photograph is {_KINDS}; got an array of {image.dtype}")
    if image.ndim == 2:
        return image[None]
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"a photograph is {_KINDS}, one at a time; got {arrived(image)}")
    return np.moveaxis(image, 2, 0)


def _checked(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"a photograph is {_KINDS}, one at a time; got {arrived(image)}")
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise TypeError(f"a photograph is {_KINDS}; got a tensor of {image.dtype}")
    if image.numel():
        low, high = (float(end) for end in image.aminmax())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise ValueError(
                f"the floats of a photograph go from 0 to 1, got {low:g} to {high:g}; pixels from "
                "0 to 255 are given as uint8"
            )
    return image.float() * 255
