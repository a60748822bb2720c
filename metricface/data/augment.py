"""Augmentation of image batches."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def affine_jitter(
    images: Tensor,
    *,
    degrees: float = 10.0,
    scale: float = 0.1,
    shift: float = 0.08,
    padding: Literal["zeros", "border"] = "zeros",
    generator: torch.Generator,
) -> Tensor:
    """Rotate, scale and move each image of a batch at random, about its centre.

    A point at ``p`` pixels from the centre goes to ``s R(φ) p + t``, with ``φ``, ``s`` and ``t``
    uniform and independent for each image; pixels between others are interpolated bilinearly.
    In proportion, whatever the shape of the image: a rotated square stays a square.

    Args:
        images: floating ``[B, C, H, W]``.
        degrees: ``φ`` lies within ± this angle.
        scale: ``s`` lies within 1 ± this, from 0 to below 1.
        shift: ``t`` lies within ± this fraction of the width and of the height.
        padding: what comes in from outside: ``"zeros"`` or the nearest ``"border"`` pixel.
        generator: the only source of randomness; the same state gives the same batch.

    Returns:
        New images with the shape, dtype and device of ``images``.

    Raises:
        TypeError: images are not floating.
        ValueError: images are not ``[B, C, H, W]``, or a setting out of range.

    Example:
        >>> images = torch.rand(8, 1, 28, 28)
        >>> affine_jitter(images, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([8, 1, 28, 28])
    """
    _check(images, degrees, scale, shift, padding)
    if images.numel() == 0:
        return images.clone()
    drawn = torch.rand(len(images), 4, generator=generator, device=generator.device)
    # Half precision would place the samples a noticeable part of a pixel off.
    exact = torch.promote_types(images.dtype, torch.float32)
    with torch.autocast(images.device.type, enabled=False):
        uniform = 2 * drawn.to(images.device, exact) - 1
        matrix = _inverse_map(
            torch.deg2rad(degrees * uniform[:, 0]),
            1 + scale * uniform[:, 1],
            2 * shift * uniform[:, 2:],  # the sampling grid spans -1 … 1
            images.shape[-1] / images.shape[-2],
        )
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        out = F.grid_sample(images.to(exact), grid, padding_mode=padding, align_corners=False)
    return out.to(images.dtype)


def _inverse_map(angle: Tensor, factor: Tensor, moved: Tensor, aspect: float) -> Tensor:
    """Where each output point is read from, ``R(-φ) (q - t) / s``, in grid units ``[B, 2, 3]``.

    Grid units differ in x and y when the image is not square; ``aspect`` (width over height)
    turns one into the other, so that the rotation is one in pixels.
    """
    cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
    linear = torch.stack([cos, sin / aspect, -sin * aspect, cos], dim=1).view(-1, 2, 2)
    return torch.cat([linear, -linear @ moved[:, :, None]], dim=2)


def _check(images: Tensor, degrees: float, scale: float, shift: float, padding: str) -> None:
    if not images.is_floating_point():
        raise TypeError(f"images must be floating, got {images.dtype}")
    if images.ndim != 4:
        raise ValueError(f"images must be [B, C, H, W], got shape {tuple(images.shape)}")
    for name, value, limit in (
        ("degrees", degrees, math.inf),
        ("scale", scale, 1.0),
        ("shift", shift, math.inf),
    ):
        if not 0 <= value < limit:
            raise ValueError(f"{name} must be at least 0 and below {limit}, got {value}")
    if padding not in ("zeros", "border"):
        raise ValueError(f"padding must be 'zeros' or 'border', got {padding!r}")
