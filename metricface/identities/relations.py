"""Which anchor and which reference belong together: by equal keys, or by a mask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from metricface.transfers import sent
from metricface.types import Labels, label_array, ragged


@dataclass(frozen=True)
class Mask:
    """Pairs that belong together, told by a boolean matrix ``[B, R]``."""

    mask: Tensor

    @classmethod
    def of(cls, labels: Labels, device: torch.device) -> Mask:
        """From a boolean matrix, checked."""
        # as_tensor would move a tensor to torch's default device.
        mask = labels if isinstance(labels, Tensor) else torch.from_numpy(np.asarray(labels))
        if mask.dtype != torch.bool:
            column = mask.shape[1:] == (1,)
            advice = "of a column of labels take labels.squeeze(1)"
            if not column:
                advice = "of such a matrix take labels.bool(), of one-hot labels labels.argmax(1)"
            raise TypeError(
                f"a match matrix must be boolean, got {mask.dtype} of {tuple(mask.shape)}: {advice}"
            )
        return cls(sent(mask, device))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of anchors and references."""
        return self.mask.shape[0], self.mask.shape[1]

    @cached_property
    def count(self) -> Tensor:
        """References that belong to each anchor, ``[B]``."""
        return self.mask.sum(1)

    def count_with(self, sample: Groups) -> Tensor:
        """How many of them are the same sample as well, ``[B]``."""
        row, column = sample.entries(0, len(self.mask))
        return torch.zeros_like(self.count).index_add_(0, row, self.mask[row, column].long())

    def entries(self, start: int, stop: int, total: int | None = None) -> tuple[Tensor, Tensor]:
        """Rows (from ``start``) and references of all pairs, in row and column order."""
        row, column = self.mask[start:stop].nonzero(as_tuple=True)
        return row, column

    def equal(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether these belong together, pair by pair."""
        return self.mask[rows, columns]


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
        cls, values: Labels, ref_values: Labels | None, name: str, device: torch.device
    ) -> Groups:
        """From labels or ids of both sides; the anchors' own where there is one side only."""
        return cls.of_keys(*_keys(values, ref_values, name, device))

    @classmethod
    def of_keys(cls, key: Tensor, ref_key: Tensor) -> Groups:
        """From integers of both sides."""
        sorted_key, order = torch.sort(ref_key, stable=True)
        first = torch.searchsorted(sorted_key, key)
        count = torch.searchsorted(sorted_key, key, right=True) - first
        return cls(key, ref_key, order, first, count)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of anchors and references."""
        return len(self.key), len(self.ref_key)

    def count_with(self, sample: Groups) -> Tensor:
        """How many references have the key of each anchor here and there, ``[B]``."""
        (own, ref_own), (other, ref_other) = self._ranks(), sample._ranks()
        size = len(self.ref_key) + 1
        key = torch.where((own < 0) | (other < 0), -1, own * size + other)
        return Groups.of_keys(key, ref_own * size + ref_other).count

    def _ranks(self) -> tuple[Tensor, Tensor]:
        """How many references have a smaller key than each anchor and each reference.

        −1 for an anchor whose key no reference has.
        """
        rank = torch.searchsorted(self.ref_key[self.order], self.ref_key)
        return torch.where(self.count > 0, self.first, -1), rank

    def entries(self, start: int, stop: int, total: int | None = None) -> tuple[Tensor, Tensor]:
        """Rows (from ``start``) and references of all equal pairs, in row and column order.

        ``total`` is how many there are, where the host knows it.
        """
        row, within = ragged(self.count[start:stop], total)
        return row, self.order[self.first[start:stop][row] + within]

    def equal(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether these belong together, pair by pair."""
        return self.key[rows] == self.ref_key[columns]


def is_matrix(labels: Labels) -> bool:
    """Whether a match matrix stands in place of labels.

    Example:
        >>> is_matrix(torch.eye(2, dtype=torch.bool)), is_matrix([0, 1])
        (True, False)
    """
    return isinstance(labels, Tensor | np.ndarray) and labels.ndim == 2


def _keys(
    values: Labels, ref_values: Labels | None, name: str, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Integers that are equal exactly where the values are, at any size."""
    both = (values,) if ref_values is None else (values, ref_values)
    plain = [value for value in both if _is_plain(value)]
    if len(plain) == len(both):
        keys = [sent(value.long(), device) for value in plain]
        return keys[0], keys[-1]
    arrays = [label_array(value, name) for value in both]
    kinds = {array.dtype.kind for array in arrays}
    if len({kind in "US" for kind in kinds}) > 1:
        raise TypeError(f"{name} are strings on one side and integers on the other")
    if len(kinds) > 1:  # signed beside unsigned have no common integer type
        arrays = [array.astype(object) for array in arrays]
    codes = torch.from_numpy(np.unique(np.concatenate(arrays), return_inverse=True)[1])
    codes = sent(codes, device)
    return codes[: len(arrays[0])], codes[len(codes) - len(arrays[-1]) :]


def _is_plain(value: Labels) -> TypeGuard[Tensor]:
    """An integer vector that int64 holds exactly."""
    return (
        isinstance(value, Tensor)
        and value.ndim == 1
        and not (value.is_floating_point() or value.is_complex() or value.dtype == torch.uint64)
    )
