"""Memory-mapped arrays that travel to worker processes as a file name, not as their bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class FileView(NamedTuple):
    """Where the bytes of an array lie in a file."""

    path: str
    start: int
    """Byte of the first element."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def opened(self) -> npt.NDArray[np.uint8]:
        """The array, mapped read-only.

        Raises:
            OSError: the file is gone.
            ValueError: the file is shorter than the array.
        """
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        mapped = np.memmap(self.path, np.uint8, "r", offset=self.start, shape=(last + 1,))
        array: npt.NDArray[np.uint8] = np.ndarray(
            self.shape, np.uint8, buffer=mapped, strides=self.strides
        )
        return array


def file_view(array: npt.NDArray[np.uint8]) -> FileView | None:
    """Where a memory-mapped array, or a view of one, lies in its file.

    Pickling a mapped array would read and copy all of it, once for every worker process.

    Args:
        array: any uint8 array.

    Returns:
        ``None`` where the bytes of the array are not those of a file: it lies in memory, is
        mapped copy-on-write, or runs backwards.

    Example:
        >>> file_view(np.zeros(3, np.uint8)) is None
        True
    """
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or root.mode == "c" or root.filename is None:
        return None
    if array.size == 0 or min(array.strides, default=0) < 0:
        return None
    first = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    start = int(root.offset) + int(first)
    return FileView(str(root.filename), start, array.shape, array.strides)
