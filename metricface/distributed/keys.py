"""Labels and ids in a form that travels between processes exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.types import Labels, label_array

INTEGER, TEXT, BYTES = KINDS = ("i", "U", "S")


class Keys(NamedTuple):
    """One key per row: int64, or strings of a fixed width as numpy holds them."""

    kind: str
    """``"i"``, ``"U"`` or ``"S"``: integers, strings or byte strings."""
    width: int
    """Characters of the longest; 1 for integers."""
    values: Tensor | npt.NDArray[Any]
    """int64 ``[n]``, or an array of strings ``[n]``."""

    @classmethod
    def of(cls, labels: Labels, name: str, device: torch.device) -> Keys:
        """From labels or ids as anybody may give them.

        Args:
            labels: ``[n]`` integers below 2^63, or strings.
            name: what to call them in an error.
            device: where integers are put.

        Raises:
            TypeError: neither integers nor strings.
            ValueError: not one-dimensional, a match matrix, an integer beyond int64.

        Example:
            >>> Keys.of(["anna", "bo"], "labels", torch.device("cpu"))
            Keys(kind='U', width=4, values=array(['anna', 'bo'], dtype='<U4'))
        """
        if getattr(labels, "ndim", 1) == 2 and str(getattr(labels, "dtype", "")).endswith("bool"):
            raise ValueError(
                "a match matrix speaks of the rows of one process only and cannot be gathered, "
                f"got {name} of shape {tuple(np.shape(labels))}: give one label for each row"
            )
        if _is_plain(labels):
            return cls(INTEGER, 1, torch.as_tensor(labels).to(device, torch.int64))
        array = label_array(labels, name)
        if array.dtype.kind in "US":
            return cls(
                array.dtype.kind, max(array.dtype.itemsize // _size(array.dtype.kind), 1), array
            )
        beyond = [value for value in array.tolist() if not -(2**63) <= value < 2**63]
        if beyond:
            raise ValueError(
                f"{name} travel between processes as int64, got {beyond[0]}: number them from 0 "
                "on, or give them as strings"
            )
        return cls(INTEGER, 1, torch.from_numpy(array.astype(np.int64)).to(device))

    def as_bytes(self, kind: str, width: int) -> Tensor:
        """The keys as rows of bytes ``[n, w]``, of the kind and width that all ranks have.

        Args:
            kind: the same as its own, unless there are no keys.
            width: at least its own.
        """
        count = len(self.values)
        if kind == INTEGER:
            numbers = torch.as_tensor(self.values) if count else torch.empty(0, dtype=torch.int64)
            return numbers.contiguous().view(torch.uint8).view(count, 8)
        array = np.asarray(self.values).astype(f"{kind}{width}")
        return torch.from_numpy(array.view(np.uint8).reshape(count, width * _size(kind)))


def from_bytes(table: Tensor, kind: str, device: torch.device) -> Tensor | npt.NDArray[Any]:
    """The keys that :meth:`Keys.as_bytes` wrote.

    Args:
        table: uint8 ``[N, w]``.
        kind: of these keys.
        device: where integers are put.

    Example:
        >>> keys = Keys.of([3, -1], "labels", torch.device("cpu"))
        >>> from_bytes(keys.as_bytes("i", 1), "i", torch.device("cpu"))
        tensor([ 3, -1])
    """
    if kind == INTEGER:
        return table.contiguous().view(torch.int64).view(len(table)).to(device)
    width = table.shape[1] // _size(kind)
    return table.cpu().contiguous().numpy().view(f"{kind}{width}").reshape(len(table))


def _size(kind: str) -> int:
    """Bytes of one character."""
    return np.dtype(f"{kind}1").itemsize


def _is_plain(labels: object) -> bool:
    """An integer vector that int64 holds exactly, and that may stay on its device."""
    return (
        isinstance(labels, Tensor)
        and labels.ndim == 1
        and not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.uint64)
    )
