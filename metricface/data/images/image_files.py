"""A set of image files, each with an identity, that are decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metricface.data.images.encoded_images import EncodedImages, Transform
from metricface.data.images.path_array import PathArray


class ImageFiles(EncodedImages):
    """Image files with one identity each; a torch dataset whose items are decoded when asked for.

    The worker processes of a ``DataLoader`` therefore do the decoding. How files become pixels:
    :func:`metricface.data.pixels.decoding.decoded`.

    Args:
        paths: ``N`` files.
        labels: int64 ``[N]``, each in ``0 … C-1``; not every identity needs an image.
        names: the ``C`` names; ``names[c]`` is what identity ``c`` is called.
        size: height and width to stretch the images to; ``None`` leaves them as they are, and
            those of a batch must then be of one size.
        colour: red, green, blue rather than grey.
        transform: changes each image, float32 ``[1 or 3, H, W]`` in 0 … 1, when it is asked for,
            as those of ``torchvision.transforms.v2`` do; in the worker processes of a loader, so
            it has to be a function that can be pickled where these are spawned.

    Raises:
        TypeError: labels are not int64, or names are not strings; a transform that is no function.
        ValueError: not as many labels as paths, a label without a name, or a size below 1.
        ImportError: Pillow is not installed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "two.pgm"
        >>> length = file.write_bytes(b"P5 2 1 255 " + bytes([0, 51]))
        >>> people = ImageFiles([file], np.array([0]), ("anna",))
        >>> people[0]
        (tensor([[[0.0000, 0.2000]]]), 0)
    """

    _kind = "files"

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        labels: npt.NDArray[np.int64],
        names: tuple[str, ...],
        *,
        size: tuple[int, int] | None = None,
        colour: bool = False,
        transform: Transform | None = None,
    ) -> None:
        self._paths = paths if isinstance(paths, PathArray) else PathArray(paths)
        super().__init__(self._paths, labels, names, size=size, colour=colour, transform=transform)

    @property
    def paths(self) -> PathArray:
        """The files, in the order of the images."""
        return self._paths
