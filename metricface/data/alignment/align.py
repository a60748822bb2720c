"""Photographs and landmarks to aligned crops."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.data.alignment.crop import warp
from metricface.data.alignment.similarity import similarity_transform
from metricface.data.alignment.templates import Template, as_template
from metricface.data.pixels.decoding import read_image
from metricface.given import arrived

Photograph: TypeAlias = "str | os.PathLike[str] | npt.NDArray[Any] | Tensor"
"""A file; uint8 or floating (0 to 1) pixels ``[H, W]`` or ``[H, W, 3]``; a tensor ``[C, H, W]``."""

Face: TypeAlias = Literal["largest", "central"]
"""Which of several faces: of the largest box, or the one nearest to the middle."""

Found: TypeAlias = "tuple[Any, Any, float]"
"""What a detector says of a face: box (left, top, right, bottom), five points (x, y), score."""

Detector: TypeAlias = "Callable[[npt.NDArray[np.uint8]], Iterable[Found]]"
"""From the pixels ``[H, W, 3]`` of a photograph to the faces in it."""


class Aligned(NamedTuple):
    """Crops of the photographs in which there was a face."""

    images: Tensor
    """float32 ``[M, C, h, w]`` in 0 … 1."""
    rows: Tensor
    """Of which of the given photographs, int64 ``[M]``."""
    transforms: Tensor
    """From a photograph's coordinates to its crop's, float64 ``[M, 2, 3]``."""


def align(
    photographs: Sequence[Photograph] | npt.NDArray[Any] | Tensor,
    landmarks: npt.ArrayLike | Tensor | None = None,
    *,
    detector: Detector | None = None,
    template: Template = "arcface",
    face: Face = "largest",
    colour: bool = True,
    fill: float = 0.0,
    antialias: bool = False,
) -> Aligned:
    """Crops in which the eyes, the nose and the mouth lie where a template wants them.

    Five landmarks tell the :func:`similarity_transform` from a photograph to its crop, and the
    crop's pixels are interpolated from the photograph's own, once. Coordinates count from the
    centre of the first pixel, as OpenCV's and insightface's do.

    Args:
        photographs: files, arrays or tensors, each of its own size; or a batch of one size
            (``[N, C, H, W]`` as a tensor, ``[N, H, W]`` or ``[N, H, W, 3]`` as an array).
        landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, as
            the viewer sees them ``[N, 5, 2]``; or else a detector.
        detector: any function from pixels (uint8 ``[H, W, 3]``) to faces (box, five points, score);
            :class:`~metricface.data.MTCNN` is one.
        template: ``"arcface"`` (112 × 112), ``"sphereface"`` (112 × 96) or a
            :class:`CropTemplate`.
        face: which one, where a detector finds several.
        colour: red, green, blue rather than grey.
        fill: what lies beyond the photograph, 0 … 1.
        antialias: average where a face is larger than its crop; see :func:`warp`.

    Returns:
        The crops, and of which photographs they are: one in which the detector finds no face has
        none.

    Raises:
        ValueError: neither or both of landmarks and detector, numbers or shapes that do not
            fit, landmarks from which no transform can be told, that are mirrored or in disorder
            (:func:`similarity_transform`), or that lie outside of the photograph by more than its
            width or height (the photograph is named).
        TypeError: a photograph that is none of these.
        OSError: a file cannot be read.

    Example:
        >>> photograph = np.zeros((200, 300, 3), dtype=np.uint8)
        >>> points = [[120, 80], [160, 80], [140, 100], [125, 125], [155, 125]]
        >>> align([photograph], [points]).images.shape
        torch.Size([1, 3, 112, 112])
    """
    if (landmarks is None) == (detector is None):
        raise ValueError("give either landmarks or a detector")
    wanted = as_template(template)
    known = None if landmarks is None else _as_points(landmarks, len(photographs))
    crops, rows, matrices = [], [], []
    for row, photograph in enumerate(photographs):
        pixels = as_pixels(photograph)
        points = known[row] if known is not None else None
        if detector is not None:
            best = chosen(detector(pixels), pixels.shape[:2], face)
            points = None if best is None else np.asarray(best[1], dtype=np.float64)
        if points is None:
            continue
        try:
            _check_within(points, pixels.shape)
            matrix = similarity_transform(points, wanted.places)
        except ValueError as error:
            raise ValueError(f"photograph {row}: {error}") from error
        image = as_image(pixels, colour=colour)
        crops.append(warp(image, matrix, wanted.size, fill=fill, antialias=antialias))
        rows.append(row)
        matrices.append(torch.from_numpy(matrix))
    shape = (0, 3 if colour else 1, *wanted.size)
    return Aligned(
        torch.stack(crops) if crops else torch.empty(shape),
        torch.tensor(rows, dtype=torch.int64),
        torch.stack(matrices) if matrices else torch.empty(0, 2, 3, dtype=torch.float64),
    )


def as_pixels(photograph: Photograph) -> npt.NDArray[np.uint8]:
    """A photograph as red, green and blue, uint8 ``[H, W, 3]``; files upright.

    Example:
        >>> as_pixels(torch.ones(1, 2, 4)).shape
        (2, 4, 3)
    """
    if isinstance(photograph, str | os.PathLike):
        return read_image(photograph, colour=True)
    if isinstance(photograph, Tensor):
        if photograph.ndim != 3 or photograph.shape[0] not in (1, 3):
            raise ValueError(
                f"a photograph as a tensor is [1 or 3, H, W], got {tuple(photograph.shape)}"
            )
        photograph = photograph.detach().cpu().permute(1, 2, 0).numpy()
    if not isinstance(photograph, np.ndarray):
        raise TypeError(f"a photograph is a file, an array or a tensor, got {arrived(photograph)}")
    pixels = photograph[:, :, None] if photograph.ndim == 2 else photograph
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"a photograph as an array is [H, W] or [H, W, 3], got {photograph.shape}")
    if pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and 0 <= pixels.min() <= pixels.max() <= 1):
            raise ValueError("floating pixels must be from 0 to 1; whole ones are uint8")
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise TypeError(f"pixels must be uint8, or floating from 0 to 1, got {pixels.dtype}")
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def as_image(pixels: npt.NDArray[np.uint8], *, colour: bool) -> Tensor:
    """Pixels as float32 ``[3, H, W]`` in 0 … 1, or ``[1, H, W]`` of their luma."""
    image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    if colour:
        return image
    return (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)


def chosen(faces: Iterable[Found], size: tuple[int, ...], face: Face) -> Found | None:
    """One face of a photograph, or None.

    Args:
        faces: what a detector found.
        size: height and width of the photograph.
        face: which.

    Example:
        >>> faces = [((0, 0, 9, 9), None, 0.9), ((40, 40, 44, 44), None, 0.8)]
        >>> chosen(faces, (80, 80), "central")[2]
        0.8
    """
    if face not in get_args(Face):
        raise ValueError(f"face must be 'largest' or 'central', got {arrived(face)}")
    every = list(faces)
    boxes = np.array([np.asarray(box, dtype=np.float64) for box, _, _ in every]).reshape(-1, 4)
    if not every:
        return None
    if face == "largest":
        return every[int(np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(1)))]
    middle = (np.array([size[1], size[0]]) - 1) / 2
    off = np.hypot(*((boxes[:, :2] + boxes[:, 2:]) / 2 - middle).T)
    return every[int(np.argmin(off))]


def _check_within(points: npt.NDArray[np.float64], shape: tuple[int, ...]) -> None:
    size = np.array([shape[1], shape[0]])
    far = ((points < -size) | (points > 2 * size)).any(1)
    if far.any():
        x, y = points[int(far.argmax())]
        raise ValueError(
            f"a landmark at ({x:g}, {y:g}) lies far outside of its {size[0]} x {size[1]} pixels: "
            "are the landmarks another photograph's, or in other units?"
        )


def _as_points(landmarks: npt.ArrayLike | Tensor, count: int) -> npt.NDArray[np.float64]:
    known = landmarks.detach().cpu().numpy() if isinstance(landmarks, Tensor) else landmarks
    points = np.asarray(known, dtype=np.float64)
    if points.shape != (count, 5, 2):
        flat = " (ten numbers a row: .reshape(-1, 5, 2))" if points.shape[1:] == (10,) else ""
        raise ValueError(
            f"landmarks of {count} photographs must be [{count}, 5, 2], got {points.shape}{flat}"
        )
    return points
