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
    Proportions are kept in images of any shape: a rotated square stays a square.

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
        TypeError: images are no tensor or not floating, or there is no generator.
        ValueError: images are not ``[B, C, H, W]``, or a setting out of range.

    Example:
        >>> images = torch.rand(8, 1, 28, 28)
        >>> affine_jitter(images, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([8, 1, 28, 28])
    """
    _check_batch(images, generator)
    _check_jitter(images, degrees, scale, shift, padding)
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


def random_flip(images: Tensor, *, probability: float = 0.5, generator: torch.Generator) -> Tensor:
    """Mirror images of a batch at random, left for right.

    Args:
        images: ``[B, C, H, W]``, of any dtype.
        probability: that an image is mirrored, from 0 to 1.
        generator: the only source of randomness; the same state gives the same batch.

    Returns:
        New images with the shape, dtype and device of ``images``.

    Raises:
        TypeError: images are no tensor, or there is no generator.
        ValueError: images are not ``[B, C, H, W]``, or a probability out of range.

    Example:
        >>> image = torch.tensor([[[[1, 2, 3]]]])
        >>> random_flip(image, probability=1, generator=torch.Generator())
        tensor([[[[3, 2, 1]]]])
    """
    _check_batch(images, generator)
    chosen = _chosen(len(images), probability, generator).to(images.device)
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def random_crop(images: Tensor, size: tuple[int, int], *, generator: torch.Generator) -> Tensor:
    """Cut a window of one size out of each image of a batch, at a random place.

    Args:
        images: ``[B, C, H, W]``, of any dtype; for a margin around them, see
            :func:`torch.nn.functional.pad`.
        size: height ``h`` and width ``w``, from 1 to those of the images; every place of such a
            window is equally likely.
        generator: the only source of randomness; the same state gives the same batch.

    Returns:
        New images ``[B, C, h, w]`` with the dtype and device of ``images``.

    Raises:
        TypeError: images are no tensor, or there is no generator.
        ValueError: images are not ``[B, C, H, W]``, or a size out of range.

    Example:
        >>> images = torch.rand(8, 3, 128, 64)
        >>> random_crop(images, (112, 56), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([8, 3, 112, 56])

    Reference:
        Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification",
        2017, section 4.2: images an eighth larger than what the network takes.
    """
    _check_batch(images, generator)
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"size must be (height, width), got {size!r}")
    spaces = [whole - part for whole, part in zip(images.shape[2:], size, strict=True)]
    if min(size) < 1 or min(spaces) < 0:
        raise ValueError(f"size must be from 1 to {tuple(images.shape[2:])}, got {size}")
    first = [
        torch.randint(space + 1, (len(images), 1), generator=generator, device=generator.device)
        for space in spaces
    ]
    row, column = (
        (start + torch.arange(length, device=start.device)).to(images.device)
        for start, length in zip(first, size, strict=True)
    )
    image = torch.arange(len(images), device=images.device)
    # Indices on both sides of a slice put the sliced axis, the channels, last.
    cut = images[image[:, None, None], :, row[:, :, None], column[:, None, :]]
    return cut.permute(0, 3, 1, 2).contiguous()


def random_erase(
    images: Tensor,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
    value: float = 0.0,
    generator: torch.Generator,
) -> Tensor:
    """Overwrite a rectangle of some images of a batch, as if something stood in front of them.

    Its share of the image is uniform in ``area`` and its height over its width uniform in
    ``log(aspect)``; it lies anywhere inside the image with equal probability. A side is at
    least a pixel long, and at most as long as the image.

    Args:
        images: ``[B, C, H, W]``, of any dtype.
        probability: that an image loses a rectangle, from 0 to 1.
        area: least and greatest share of the image, from 0 to 1.
        aspect: least and greatest height over width, above 0.
        value: what is written.
        generator: the only source of randomness; the same state gives the same batch.

    Returns:
        New images with the shape, dtype and device of ``images``.

    Raises:
        TypeError: images are no tensor, or there is no generator.
        ValueError: images are not ``[B, C, H, W]``, or a setting out of range.

    Example:
        >>> images = torch.ones(2, 1, 50, 50)
        >>> seed = torch.Generator().manual_seed(0)
        >>> erased = random_erase(images, probability=1, area=(0.25, 0.25), generator=seed)
        >>> bool((erased.mean((1, 2, 3)) - 0.75).abs().max() < 0.02)
        True

    Reference:
        Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, section 3.
    """
    _check_batch(images, generator)
    if not 0 <= area[0] <= area[1] <= 1:
        raise ValueError(f"area must be an increasing pair from 0 to 1, got {area}")
    if not 0 < aspect[0] <= aspect[1] < math.inf:
        raise ValueError(f"aspect must be an increasing pair above 0, got {aspect}")
    height, width = images.shape[2:]
    chosen = _chosen(len(images), probability, generator)
    share, form, down, right = torch.rand(
        4, len(images), 1, generator=generator, device=generator.device
    ).unbind()
    pixels = (area[0] + (area[1] - area[0]) * share) * height * width
    ratio = torch.exp(math.log(aspect[0]) + math.log(aspect[1] / aspect[0]) * form)
    rows = _span(torch.sqrt(pixels * ratio), down, height)
    columns = _span(torch.sqrt(pixels / ratio), right, width)
    erased = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(erased[:, None].to(images.device), value)


def _chosen(count: int, probability: float, generator: torch.Generator) -> Tensor:
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must be from 0 to 1, got {probability}")
    return torch.rand(count, generator=generator, device=generator.device) < probability


def _span(length: Tensor, place: Tensor, whole: int) -> Tensor:
    """Which of ``whole`` pixels lie in a run of some length at some place; bool ``[B, whole]``."""
    length = length.round().clamp(1, whole)
    start = torch.floor(place * (whole + 1 - length))
    pixel = torch.arange(whole, device=length.device)
    return (pixel >= start) & (pixel < start + length)


def _inverse_map(angle: Tensor, factor: Tensor, moved: Tensor, aspect: float) -> Tensor:
    """Where each output point is read from, ``R(-φ) (q - t) / s``, in grid units ``[B, 2, 3]``.

    Grid units differ in x and y when the image is not square; ``aspect`` (width over height)
    converts between them, so that the rotation is one in pixels.
    """
    cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
    linear = torch.stack([cos, sin / aspect, -sin * aspect, cos], dim=1).view(-1, 2, 2)
    return torch.cat([linear, -linear @ moved[:, :, None]], dim=2)


def _check_jitter(images: Tensor, degrees: float, scale: float, shift: float, padding: str) -> None:
    if not images.is_floating_point():
        raise TypeError(f"images must be floating, got {images.dtype}")
    for name, value, limit in (
        ("degrees", degrees, math.inf),
        ("scale", scale, 1.0),
        ("shift", shift, math.inf),
    ):
        if not 0 <= value < limit:
            raise ValueError(f"{name} must be at least 0 and below {limit}, got {value}")
    if padding not in ("zeros", "border"):
        raise ValueError(f"padding must be 'zeros' or 'border', got {padding!r}")


def _check_batch(images: object, generator: object) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images must be a tensor [B, C, H, W], got {type(images).__name__}"
            " (of an array, torch.from_numpy; of an ImageSet, its tensor())"
        )
    if images.ndim != 4:
        raise ValueError(f"images must be [B, C, H, W], got shape {tuple(images.shape)}")
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            "generator must be a torch.Generator, such as torch.Generator().manual_seed(0), got "
            f"{type(generator).__name__}"
        )
