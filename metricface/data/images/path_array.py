"""Paths by the million, in one array."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from metricface.data.images.selection import Indices, selected


class PathArray(Sequence[Path]):
    """An immutable sequence of paths, kept as one array of bytes.

    Forked processes share such an array. Of a list of a million objects each process would come
    to hold a copy, because counting references writes to them.

    Args:
        paths: any number, in any form.

    Example:
        >>> files = PathArray(["a/1.png", "a/2.png"])
        >>> files[1].name, len(files)
        ('2.png', 2)
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        self._encoded = np.array(encoded, None if encoded else "S1")

    def __len__(self) -> int:
        return len(self._encoded)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> PathArray: ...
    def __getitem__(self, index: int | slice) -> Path | PathArray:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        return Path(os.fsdecode(self._encoded[index]))

    def __repr__(self) -> str:
        return f"PathArray({len(self)} paths)"

    def take(self, indices: Indices) -> PathArray:
        """The chosen paths, in the order given.

        Args:
            indices: integers ``[M]`` in ``-N … N-1``, repeats allowed.

        Raises:
            TypeError: the indices are not integers.
            ValueError: the indices are not one-dimensional.
            IndexError: an index beyond the last path.

        Example:
            >>> [path.name for path in PathArray(["a", "b", "c"]).take([2, 0])]
            ['c', 'a']
        """
        chosen = PathArray([])
        chosen._encoded = self._encoded[selected(indices)]
        return chosen
