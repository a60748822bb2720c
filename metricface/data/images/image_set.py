"""A set of images in memory or in a mapped file, each with an identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from metricface.data.images.file_views import FileView, file_view
from metricface.data.images.identity_labels import check_labels
from metricface.data.images.selection import Indices, selected


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Dataset[tuple[Tensor, int]]):
    """Grey or colour images with one identity each; a torch dataset.

    The images may be memory-mapped (``np.load(file, mmap_mode="r")``): then only what is asked
    for is read, and worker processes get the name of the file rather than a copy.

    Args:
        images: uint8 ``[N, H, W]``, 0 black to 255 white, or ``[N, H, W, 3]``, red, green, blue.
        labels: int64 ``[N]``, each in ``0 … C-1``; not every identity needs an image.
        names: the ``C`` names; ``names[c]`` is what identity ``c`` is called.

    Raises:
        TypeError: images are not uint8, labels are not int64, or names are not strings.
        ValueError: shapes that do not fit, or a label without a name.

    Example:
        >>> pictures = np.zeros((3, 4, 5), np.uint8)
        >>> people = ImageSet(pictures, np.array([0, 0, 1]), ("anna", "ben"))
        >>> image, identity = people[2]
        >>> image.shape, people.names[identity]
        (torch.Size([1, 4, 5]), 'ben')
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_images(self.images)
        check_labels(self.labels, self.names, len(self.images))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image ``index`` as float32 ``[1 or 3, H, W]`` in 0 … 1, and its identity."""
        return scaled(self.images[index][None])[0], int(self.labels[index])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """The items of a batch, scaled in one operation; a DataLoader asks for them this way."""
        chosen = selected(indices)
        images = scaled(self.images[chosen]).unbind()
        return list(zip(images, self.labels[chosen].tolist(), strict=True))

    def __repr__(self) -> str:
        count, height, width = self.images.shape[:3]
        kind = "images" if self.channels == 1 else "colour images"
        identities = len(np.unique(self.labels))
        return f"ImageSet({count} {kind} of {height} x {width}, {identities} identities)"

    def __reduce__(self) -> tuple[Any, ...]:
        view = file_view(self.images)
        return _opened, (self.images if view is None else view, self.labels, self.names)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 1 if self.images.ndim == 3 else 3

    def subset(self, indices: Indices) -> ImageSet:
        """The chosen images, in the order given; labels and names stay as they are.

        They are copied into memory, also those of a mapped file. For part of a file that does not
        fit, ``torch.utils.data.Subset(data, indices)`` goes with ``data.labels[indices]``.

        Args:
            indices: integers ``[M]`` in ``-N … N-1``, repeats allowed.

        Raises:
            TypeError: the indices are not integers.
            ValueError: the indices are not one-dimensional.
            IndexError: an index beyond the set.

        Example:
            >>> letters = ImageSet(np.zeros((3, 2, 2), np.uint8), np.array([0, 1, 1]), ("a", "b"))
            >>> letters.subset([2, 0]).labels
            array([1, 0])
        """
        chosen = selected(indices)
        return ImageSet(self.images[chosen], self.labels[chosen], self.names)

    def tensor(self) -> Tensor:
        """All images at once.

        Returns:
            float32 ``[N, 1 or 3, H, W]`` in 0 … 1, a copy: four times the size of the pixels.

        Example:
            >>> white = ImageSet(np.full((2, 3, 3), 255, np.uint8), np.array([0, 0]), ("w",))
            >>> white.tensor().shape, white.tensor().max().item()
            (torch.Size([2, 1, 3, 3]), 1.0)
        """
        return scaled(self.images)


def scaled(images: npt.NDArray[np.uint8]) -> Tensor:
    """Pixels 0 … 255 as networks take them, in a copy (the array may be read-only).

    Args:
        images: uint8 ``[B, H, W]`` or ``[B, H, W, 3]``.

    Returns:
        float32 ``[B, 1, H, W]`` or ``[B, 3, H, W]`` in 0 … 1.

    Example:
        >>> scaled(np.array([[[0, 51]]], np.uint8))
        tensor([[[[0.0000, 0.2000]]]])
    """
    # Reordered while a pixel is still one byte; a no-op where a file holds channels first.
    planes = (
        images[:, None] if images.ndim == 3 else np.ascontiguousarray(np.moveaxis(images, 3, 1))
    )
    return torch.from_numpy(planes.astype(np.float32, order="C")).div_(255)


def _check_images(images: object) -> None:
    if not isinstance(images, np.ndarray):
        raise TypeError(f"images must be a numpy array, got {type(images).__name__}")
    if images.dtype != np.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}")
    if images.ndim != 3 and images.shape[3:] != (3,):
        raise ValueError(f"images must be [N, H, W] or [N, H, W, 3], got shape {images.shape}")


def _opened(
    images: npt.NDArray[np.uint8] | FileView, labels: npt.NDArray[np.int64], names: tuple[str, ...]
) -> ImageSet:
    return ImageSet(images.opened() if isinstance(images, FileView) else images, labels, names)
