"""Stacks of pixels in another size."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 256  # images held as floats at a time


def resampled(
    images: npt.NDArray[np.uint8],
    size: tuple[int, int],
    *,
    mode: Literal["area", "bilinear"] = "area",
) -> npt.NDArray[np.uint8]:
    """Images in another size, stretched to it.

    Args:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.
        size: height and width.
        mode: the average over the area that a new pixel covers, parts of old pixels counted in
            part, which suits shrinking; or bilinear interpolation between the centres of the old
            pixels, which suits enlarging.

    Returns:
        uint8 in the same layout.

    Example:
        >>> resampled(np.array([[[10, 20], [30, 40]]], np.uint8), (1, 2))
        array([[[20, 30]]], dtype=uint8)
    """
    out = np.empty((len(images), *size, *images.shape[3:]), np.uint8)
    rows, columns = (_overlaps(old, new) for old, new in zip(images.shape[1:3], size, strict=True))
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        planes = block[..., None] if block.ndim == 3 else block
        stack = torch.from_numpy(np.moveaxis(planes, 3, 1).astype(np.float32))
        if mode == "area":
            new = rows @ stack @ columns.T
        else:
            new = F.interpolate(stack, size=size, mode="bilinear")
        whole = np.moveaxis(new.round_().to(torch.uint8).numpy(), 1, 3)
        out[start : start + _BLOCK] = whole.reshape(len(block), *out.shape[1:])
    return out


def _overlaps(old: int, new: int) -> Tensor:
    """Share of each of the old pixels in each of the new, ``[new, old]``; rows sum to 1."""
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    pixel = torch.arange(old, dtype=torch.float64)
    low = torch.maximum(edges[:-1, None], pixel)
    high = torch.minimum(edges[1:, None], pixel + 1)
    return ((high - low).clamp(min=0) * new / old).float()


def check_size(size: tuple[int, int] | None) -> None:
    """Raise unless the size is a height and a width, or ``None``.

    Args:
        size: what is to be both at least 1.

    Raises:
        ValueError: it is anything else.

    Example:
        >>> check_size((112, 0))
        Traceback (most recent call last):
        ...
        ValueError: size must be a height and a width of at least 1, got (112, 0)
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"size must be a height and a width of at least 1, got {size}")
