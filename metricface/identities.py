"""Who matches whom: the only place where labels and sample ids are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metricface.types import Labels, label_array, ragged


@dataclass(frozen=True)
class MatchBlock:
    """Who matches whom for the anchors ``start … start + b`` against all R references.

    Two compact lists, both in anchor order, anchors counted from the block's start. Entries of
    neither list are negatives.

    Args:
        start: the batch row of the block's first anchor.
        shape: ``(b, R)``.
        row: anchors of the entries that are not negative, int64 ``[S]``.
        column: references of the same entries: same identity, or the very same sample.
        anchor: anchors of the positive pairs, int64 ``[M]``.
        positive: references of the positive pairs: same identity, another sample.
    """

    start: int
    shape: tuple[int, int]
    row: Tensor
    column: Tensor
    anchor: Tensor
    positive: Tensor

    def hide_(self, distances: Tensor, value: float = float("inf")) -> Tensor:
        """Overwrite, in place, every entry of a block of distances that is not a negative.

        Args:
            distances: contiguous ``[b, R]``.
            value: what to write.

        Returns:
            The same tensor.

        Example:
            >>> block = Matches([0, 0, 1]).block()
            >>> block.hide_(torch.zeros(3, 3), 9.0)
            tensor([[9., 9., 0.],
                    [9., 9., 0.],
                    [0., 0., 9.]])
        """
        distances.view(-1).index_fill_(0, self._flat(), value)
        return distances

    def hidden(self, distances: Tensor, value: float = float("inf")) -> Tensor:
        """The same as :meth:`hide_` on a copy, through which gradients flow."""
        return distances.reshape(-1).index_fill(0, self._flat(), value).view(self.shape)

    def _flat(self) -> Tensor:
        return self.row * self.shape[1] + self.column

    def positive_count(self) -> Tensor:
        """Positives of each anchor, int64 ``[b]``."""
        return torch.bincount(self.anchor, minlength=self.shape[0])

    def negative_count(self) -> Tensor:
        """Negatives of each anchor, int64 ``[b]``."""
        return self.shape[1] - torch.bincount(self.row, minlength=self.shape[0])

    def nth_negative(self, anchor: Tensor, n: Tensor) -> Tensor:
        """The n-th negative of an anchor, counted from 0 in reference order.

        No mask is made: between the sorted entries to be skipped, the answer is found by
        bisection.

        Args:
            anchor: anchors counted from the block's start, int64 ``[T]``.
            n: which negative, int64 ``[T]``, below the anchor's :meth:`negative_count`.

        Returns:
            References, int64 ``[T]``.

        Example:
            >>> block = Matches([0, 1, 0, 1]).block()
            >>> block.nth_negative(torch.tensor([0, 0]), torch.tensor([0, 1]))
            tensor([1, 3])
        """
        width = self.shape[1] + 1
        count = torch.bincount(self.row, minlength=self.shape[0])
        start = torch.cumsum(count, 0) - count
        rank = torch.arange(len(self.row), device=self.row.device) - start[self.row]
        # Before the j-th entry to skip stand column − j negatives: a rising number in each row.
        before = self.row * width + self.column - rank
        skipped = torch.searchsorted(before, anchor * width + n, right=True) - start[anchor]
        return n + skipped


class Matches:
    """Which of R references has the identity of which of B anchors.

    A reference is a **positive** of an anchor if it has the same identity and is another
    sample, a **negative** if it has another identity, and neither if it is the same sample.
    Samples are told apart by ``ids``; without references and ids, by their row. So the same
    image met twice, in the batch, in a memory or from another process, is never its own
    positive or negative. Without ids nothing is known of how references relate to the batch,
    and none is left out.

    From labels only compact lists are made, never a mask of size B×R.

    Args:
        labels: ``[B]`` integers (any dtype, compared exactly) or strings; or a boolean matrix
            ``[B, R]``, True where the pair belongs together.
        ref_labels: ``[R]``; the anchors themselves if None. Not with a matrix.
        ids: ``[B]`` integers, the samples' indices in the data set.
        ref_ids: ``[R]``; with references, both or neither.
        itself: whether the references are the batch itself; by default, where labels stand
            alone.
        device: where the index tensors are made; the labels' own device by default.

    Raises:
        TypeError: labels that are neither integers nor strings, or ids that are not integers.
        ValueError: numbers of labels, ids and references that do not agree.

    Example:
        >>> block = Matches(["anna", "ben", "anna"]).block()
        >>> block.anchor, block.positive
        (tensor([0, 2]), tensor([2, 0]))
    """

    def __init__(
        self,
        labels: Labels,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
        itself: bool | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._identity: _Mask | _Groups
        is_matrix = _is_matrix(labels)
        if is_matrix and ref_labels is not None:
            raise ValueError("ref_labels cannot stand beside a match matrix")
        if is_matrix:
            self._identity = _Mask.of(labels, device)
        else:
            self._identity = _Groups.of(labels, ref_labels, "labels", device)
        self.shape = self._identity.shape
        alone = ref_labels is None and not is_matrix
        self._itself = alone if itself is None else itself
        if self._itself and self.shape[0] != self.shape[1]:
            raise ValueError(f"without references a match matrix is square, got {self.shape}")
        self._sample = self._samples(ids, ref_ids, device)

    @classmethod
    def of(
        cls,
        embeddings: Tensor,
        labels: Labels,
        ref_emb: Tensor | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> Matches:
        """Matches from the arguments that every miner and loss takes, checked against them.

        Args:
            embeddings: ``[B, D]``; only their number and device are looked at.
            labels: ``[B]``, or a boolean matrix ``[B, R]``.
            ref_emb: ``[R, D]``, or None for the batch itself.
            ref_labels: ``[R]`` with ref_emb, unless labels is a matrix.
            ids: ``[B]``.
            ref_ids: ``[R]``.

        Raises:
            ValueError: numbers of embeddings, labels and ids that do not agree.

        Example:
            >>> Matches.of(torch.zeros(2, 8), [0, 1, 1])
            Traceback (most recent call last):
            ...
            ValueError: 2 embeddings came with 3 labels
        """
        is_matrix = _is_matrix(labels)
        if ref_emb is None and (ref_labels is not None or ref_ids is not None):
            raise ValueError("ref_labels and ref_ids need ref_emb")
        if ref_emb is not None and ref_labels is None and not is_matrix:
            raise ValueError("ref_emb needs ref_labels (or a boolean match matrix as labels)")
        matches = cls(
            labels,
            ref_labels,
            ids=ids,
            ref_ids=ref_ids,
            itself=ref_emb is None,
            device=embeddings.device,
        )
        expected = (len(embeddings), len(embeddings if ref_emb is None else ref_emb))
        if is_matrix and matches.shape != expected:
            raise ValueError(f"the match matrix must be {expected}, got {matches.shape}")
        if matches.shape[0] != expected[0]:
            raise ValueError(f"{expected[0]} embeddings came with {matches.shape[0]} labels")
        if matches.shape[1] != expected[1]:
            raise ValueError(f"{expected[1]} ref_emb came with {matches.shape[1]} ref_labels")
        return matches

    def block(self, start: int = 0, stop: int | None = None) -> MatchBlock:
        """Who matches whom for the anchors ``start … stop``; for all of them by default.

        Args:
            start: first batch row of the block.
            stop: one past its last.

        Returns:
            The compact lists, made for these anchors only.

        Example:
            >>> Matches([7, 8, 7], ids=[0, 1, 0]).block().positive  # the same image twice
            tensor([], dtype=torch.int64)
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        shape = (stop - start, self.shape[1])
        row, column = self._identity.entries(start, stop)
        if self._sample is not None:
            same_sample = self._sample.equal(row + start, column)
        elif self._itself:
            same_sample = column == row + start
        else:
            return MatchBlock(start, shape, row, column, row, column)
        other = ~same_sample
        anchor, positive = row[other], column[other]
        if self._sample is not None:
            row, column = self._with_own_samples(self._sample, start, stop, row, column)
        return MatchBlock(start, shape, row, column, anchor, positive)

    def max_positives(self) -> int:
        """No anchor has more entries than this in the lists of a block."""
        return self._identity.max_count()

    def _samples(
        self, ids: Labels | None, ref_ids: Labels | None, device: torch.device | None
    ) -> _Groups | None:
        """Which reference is the same sample as which anchor, if more than the row tells."""
        if self._itself:
            if ref_ids is not None:
                raise ValueError("ref_ids need references")
            if ids is None and isinstance(self._identity, _Groups):
                return None
            known = torch.arange(self.shape[0], device=device) if ids is None else ids
            groups = _Groups.of(known, None, "ids", device)
        elif ids is None and ref_ids is None:
            return None
        elif ids is None or ref_ids is None:
            missing = "ids" if ids is None else "ref_ids"
            raise ValueError(f"with references, ids and ref_ids come together; {missing} is None")
        else:
            groups = _Groups.of(ids, ref_ids, "ids", device)
        if groups.shape != self.shape:
            raise ValueError(f"ids must be as many as labels, {self.shape}, got {groups.shape}")
        return groups

    def _with_own_samples(
        self, sample: _Groups, start: int, stop: int, row: Tensor, column: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The list with every entry added that is the same sample under another identity."""
        own_row, own_column = sample.entries(start, stop)
        listed = self._identity.equal(own_row + start, own_column)
        if listed.all():
            return row, column
        width = self.shape[1]
        flat = torch.cat([row * width + column, (own_row * width + own_column)[~listed]])
        flat = flat.sort().values
        return flat // width, flat % width


@dataclass(frozen=True)
class _Mask:
    """Pairs that belong together, told by a boolean matrix ``[B, R]``."""

    mask: Tensor

    @classmethod
    def of(cls, labels: Labels, device: torch.device | None) -> _Mask:
        mask = torch.as_tensor(labels)
        if mask.dtype != torch.bool:
            raise TypeError(f"a match matrix must be boolean, got {mask.dtype}")
        return cls(mask if device is None else mask.to(device))

    @property
    def shape(self) -> tuple[int, int]:
        return self.mask.shape[0], self.mask.shape[1]

    def entries(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        row, column = self.mask[start:stop].nonzero(as_tuple=True)
        return row, column

    def equal(self, rows: Tensor, columns: Tensor) -> Tensor:
        return self.mask[rows, columns]

    def max_count(self) -> int:
        return int(self.mask.sum(1).max()) if self.mask.numel() else 0


@dataclass(frozen=True)
class _Groups:
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
    ) -> _Groups:
        key, ref_key = _keys(values, ref_values, name, device)
        sorted_key, order = torch.sort(ref_key, stable=True)
        first = torch.searchsorted(sorted_key, key)
        count = torch.searchsorted(sorted_key, key, right=True) - first
        return cls(key, ref_key, order, first, count)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.key), len(self.ref_key)

    def entries(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows (from ``start``) and references of all equal pairs, in row and column order."""
        row, within = ragged(self.count[start:stop])
        return row, self.order[self.first[start:stop][row] + within]

    def equal(self, rows: Tensor, columns: Tensor) -> Tensor:
        return self.key[rows] == self.ref_key[columns]

    def max_count(self) -> int:
        return int(self.count.max()) if len(self.key) else 0


def _is_matrix(labels: Labels) -> bool:
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
