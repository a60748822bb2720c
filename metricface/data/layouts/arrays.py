"""Arrays of pixels in the layouts that other tools leave them in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from metricface.data.images.identity_labels import named_identities
from metricface.data.images.image_set import ImageSet
from metricface.types import Labels


def image_array(
    images: npt.NDArray[np.uint8] | str | os.PathLike[str],
    labels: Labels | str | os.PathLike[str],
    *,
    channels: Literal["first", "last"] | None = None,
) -> ImageSet:
    """Images in an array, or in an ``.npy`` file that is mapped rather than read.

    The shape tells the layout: ``[N, H, W]`` is grey; with four axes, the channels are the second
    or the last, whichever is 1 or 3. Nothing is copied.

    Args:
        images: uint8 in one of these layouts, or the path of an ``.npy`` file with such an array.
        labels: ``[N]``, integers or strings, or the path of an ``.npy`` file with them.
        channels: which axis they are where both fit, as in ``[N, 3, 8, 3]``.

    Returns:
        The images; identities are numbered in the sorted order of their labels, which are their
        names.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: images are not uint8, or labels neither integers nor strings.
        ValueError: no such layout or an ambiguous one, not as many labels as images, or a file
            that holds no plain array.

    Example:
        >>> image_array(np.zeros((3, 3, 16, 8), np.uint8), ["ben", "anna", "ben"])
        ImageSet(3 colour images of 16 x 8, 2 identities)

        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "faces.npy"
        >>> np.save(file, np.zeros((3, 16, 8), np.uint8))
        >>> image_array(file, [7, 7, 12]).names
        ('7', '12')
    """
    array = images if isinstance(images, np.ndarray) else _mapped(images)
    if isinstance(labels, str | os.PathLike):
        labels = _mapped(labels)
    return ImageSet(_channels_last(array, channels), *named_identities(labels))


def _mapped(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    file = Path(path).expanduser()
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except ValueError as error:
        raise ValueError(f"{file} is no .npy file of numbers or strings: {error}") from error


def _channels_last(array: npt.NDArray[Any], channels: str | None) -> npt.NDArray[Any]:
    if channels not in (None, "first", "last"):
        raise ValueError(f"channels must be 'first', 'last' or None, got {channels!r}")
    if array.ndim == 3:
        return array
    if array.ndim != 4:
        raise ValueError(f"images must have 3 or 4 axes, got shape {array.shape}")
    axes = {"first": 1, "last": 3}
    possible = [axes[channels]] if channels else [1, 3]
    fitting = [axis for axis in possible if array.shape[axis] in (1, 3)]
    if len(fitting) > 1:
        raise ValueError(
            f"either the second or the last axis of shape {array.shape} may be that of the "
            "channels: give channels='first' or channels='last'"
        )
    if not fitting:
        raise ValueError(f"no axis of shape {array.shape} is one of 1 or 3 channels")
    last = np.moveaxis(array, fitting[0], 3)
    return last[..., 0] if last.shape[3] == 1 else last
