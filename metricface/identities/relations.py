"""Which anchor and which reference belong together: by equal keys, or by a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metricface.types import Labels, label_array, ragged


@dataclass(frozen=True)
class Mask:
    """Pairs that belong together, told by a boolean matrix ``[B, R]``."""

    mask: Tensor

    @classmethod
    def of(cls, labels: Labels, device: torch.device | None) -> Mask:
        """From a boolean matrix, checked."""
        mask = torch.as_tensor(labels)
        if mask.dtype != torch.bool:
            column = mask.shape[1:] == (1,)
            advice = "of a column of labels take labels.squeeze(1)"
            if not column:
                advice = "of such a matrix take labels.bool(), of one-hot labels labels.argmax(1)"
            raise TypeError(
                f"a match matrix must be boolean, got {mask.dtype} of {tuple(mask.shape)}: {advice}"
            )
        return cls(mask if device is None else mask.to(device))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of anchors and references."""
        return self.mask.shape[0], self.mask.shape[1]

    def entries(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows (from ``start``) and references of all pairs, in row and column order."""
        row, column = self.mask[start:stop].nonzero(as_tuple=True)
        return row, column

    def equal(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether these belong together, pair by pair."""
        return self.mask[rows, columns]

    def max_count(self) -> int:
        """Most references of any anchor."""
        return int(self.mask.sum(1).max()) if self.mask.numel() else 0


@dataclass(frozen=True)
class Groups:
    """Pairs with equal keys, as ranges of one sorted list.

    The references with the key of anchor ``i`` are ``order[first[i] : first[i] + count[i]]``.
    """

    key: Tensor  # [B]
    ref_key: Tensor  # [R]
    order: Tensor  # [R] references sorted by key
    first: Tensor  # [B]
    count: Tensor  # [B]

    @classmethod
    def of(
        cls, values: Labels, ref_values: Labels | None, name: str, device: torch.device | None
    ) -> Groups:
        """From labels or ids of both sides; the anchors' own where there is one side only."""
        key, ref_key = _keys(values, ref_values, name, device)
        sorted_key, order = torch.sort(ref_key, stable=True)
        first = torch.searchsorted(sorted_key, key)
        count = torch.searchsorted(sorted_key, key, right=True) - first
        return cls(key, ref_key, order, first, count)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of anchors and references."""
        return len(self.key), len(self.ref_key)

    def entries(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows (from ``start``) and references of all equal pairs, in row and column order."""
        row, within = ragged(self.count[start:stop])
        return row, self.order[self.first[start:stop][row] + within]

    def equal(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether these belong together, pair by pair."""
        return self.key[rows] == self.ref_key[columns]

    def max_count(self) -> int:
        """Most references of any anchor."""
        return int(self.count.max()) if len(self.key) else 0


def is_matrix(labels: Labels) -> bool:
    """Whether a match matrix stands in place of labels.

    Example:
        >>> is_matrix(torch.eye(2, dtype=torch.bool)), is_matrix([0, 1])
        (True, False)
    """
    return isinstance(labels, Tensor | np.ndarray) and labels.ndim == 2


def _keys(
    values: Labels, ref_values: Labels | None, name: str, device: torch.device | None
) -> tuple[Tensor, Tensor]:
    """Integers that are equal exactly where the values are, at any size."""
    both = (values,) if ref_values is None else (values, ref_values)
    if all(_is_plain(value) for value in both):
        keys = [torch.as_tensor(value).to(device, torch.int64) for value in both]
        return keys[0], keys[-1]
    arrays = [label_array(value, name) for value in both]
    kinds = {array.dtype.kind for array in arrays}
    if len({kind in "US" for kind in kinds}) > 1:
        raise TypeError(f"{name} are strings on one side and integers on the other")
    if len(kinds) > 1:  # signed beside unsigned have no common integer type
        arrays = [array.astype(object) for array in arrays]
    codes = torch.from_numpy(np.unique(np.concatenate(arrays), return_inverse=True)[1]).to(device)
    return codes[: len(arrays[0])], codes[len(codes) - len(arrays[-1]) :]


def _is_plain(value: Labels) -> bool:
    """An integer vector that int64 holds exactly."""
    return (
        isinstance(value, Tensor)
        and value.ndim == 1
        and not (value.is_floating_point() or value.is_complex() or value.dtype == torch.uint64)
    )
