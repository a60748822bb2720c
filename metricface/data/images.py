"""A set of grey images in memory, each with an identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Dataset[tuple[Tensor, int]]):
    """Grey images in memory with one identity each; a torch dataset.

    Args:
        images: uint8 ``[N, H, W]``, 0 black to 255 white.
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
        _check_array("images", self.images, np.uint8, ndim=3)
        _check_array("labels", self.labels, np.int64, ndim=1)
        if len(self.images) != len(self.labels):
            raise ValueError(f"got {len(self.images)} images but {len(self.labels)} labels")
        if not isinstance(self.names, tuple) or not all(isinstance(n, str) for n in self.names):
            raise TypeError("names must be a tuple of strings, one per identity")
        if self.labels.size:
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.names):
                raise ValueError(f"labels reach from {low} to {high}, with {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image ``index`` as float32 ``[1, H, W]`` in 0 … 1, and its identity."""
        return _scaled(self.images[index])[None], int(self.labels[index])

    def __repr__(self) -> str:
        count, height, width = self.images.shape
        identities = len(np.unique(self.labels))
        return f"ImageSet({count} images of {height} x {width}, {identities} identities)"

    def subset(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]] | Tensor) -> ImageSet:
        """The chosen images, in the order given; labels and names stay as they are.

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
        chosen = np.asarray(indices)
        if chosen.ndim != 1:
            raise ValueError(f"indices must be one-dimensional, got shape {chosen.shape}")
        if chosen.size == 0:  # an empty list arrives as floats
            chosen = chosen.astype(np.int64)
        if chosen.dtype.kind not in "iu":
            raise TypeError(f"indices must be integers, got dtype {chosen.dtype}")
        return ImageSet(self.images[chosen], self.labels[chosen], self.names)

    def tensor(self) -> Tensor:
        """All images at once.

        Returns:
            float32 ``[N, 1, H, W]`` in 0 … 1, a copy.

        Example:
            >>> white = ImageSet(np.full((2, 3, 3), 255, np.uint8), np.array([0, 0]), ("w",))
            >>> white.tensor().shape, white.tensor().max().item()
            (torch.Size([2, 1, 3, 3]), 1.0)
        """
        return _scaled(self.images)[:, None]


def _scaled(images: npt.NDArray[np.uint8]) -> Tensor:
    """0 … 255 to float32 0 … 1, in a copy of its own (the array may be read-only)."""
    return torch.from_numpy(images.astype(np.float32)).div_(255)


def _check_array(name: str, array: object, dtype: type[np.generic], *, ndim: int) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {dtype.__name__}, got {array.dtype}")
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, got shape {array.shape}")
