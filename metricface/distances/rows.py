"""Embeddings of a whole data set, read some rows at a time from wherever they lie."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from metricface.distances.distance import Distance, centre
from metricface.distances.given import check_distance
from metricface.distances.product import any_equal, are_codes, in_exact_parts, row_keys
from metricface.embeddings import check_lengths, check_matrix, first_bad_row
from metricface.types import Embeddings

_AT_ONCE = 1 << 20  # entries looked at together: 8 MiB in float64
_SAMPLED = 256  # rows whose centre stands for that of all


class Rows:
    """Rows as a distance compares them, made when asked for: the whole is never copied.

    ``rows[where]`` is what :mod:`metricface.distances.tiles` takes: lifted from half precision,
    normalised where the distance says so, less a centre near all of them, and, where some of
    the rows that are compared are identical, in parts whose products are exact
    (:func:`~metricface.distances.product.without_rounding`).

    Args:
        embeddings: floating ``[N, D]``; an ``np.memmap`` stays on disk.
        distance: what is measured.
        beside: rows these are compared with. Sets that are compared know of each other before
            either is read.
        name: what to call them in an error.

    Raises:
        TypeError: not a floating array or tensor.
        ValueError: not a matrix, or a row holds NaN or infinity or is too long to be compared
            (the first is named); other dimensions or another device than the rows beside.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> rows = Rows(np.array([[0.0, 3.0], [1.0, 2.0]]), SquaredEuclidean(normalize=False))
        >>> len(rows), rows.dim, rows.raw(slice(0, 1)).tolist()
        (2, 2, [[0.0, 3.0]])
    """

    def __init__(
        self,
        embeddings: Embeddings,
        distance: Distance,
        *,
        beside: Rows | None = None,
        name: str = "embeddings",
    ) -> None:
        self._source = _checked_source(embeddings, name)
        self._order: Tensor | None = None
        self.distance, self._name = check_distance(distance), name
        nothing = self.raw(slice(0, 0))
        self.device, self.dim = nothing.device, nothing.shape[1]
        self._own_dtype = torch.promote_types(nothing.dtype, torch.float32)
        if beside is not None:
            self._check_beside(beside)
        self._compared: _Compared = _Compared() if beside is None else beside._compared
        self.keys = self._looked_over()
        self._compared.add(self)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._source)

    def __getitem__(self, where: slice | Tensor) -> Tensor:
        """Some rows for a product, ``[b, D]`` or in exact parts ``[b, S, D]``.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        rows, largest = self.plain(where), self._compared.largest
        return rows if largest is None else in_exact_parts(rows, largest)

    @property
    def dtype(self) -> torch.dtype:
        """Of the rows that are compared: float64 if any set of them is float64, else float32."""
        return self._compared.dtype

    def plain(self, where: slice | Tensor) -> Tensor:
        """Some rows lifted, normalised and less the common centre, ``[b, D]``.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        return self.uncentred(where) - self._compared.centre

    def uncentred(self, where: slice | Tensor) -> Tensor:
        """Some rows lifted and, where the distance says so, normalised, ``[b, D]``.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        return self.distance.rows(self.raw(where), self.dtype)

    def raw(self, where: slice | Tensor) -> Tensor:
        """Some rows as they are, ``[b, D]``; a memory-mapped array is read in the order stored.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        if self._order is not None:
            where = self._order[where]
        if isinstance(self._source, Tensor):
            here = where.to(self._source.device) if isinstance(where, Tensor) else where
            return self._source[here]
        picked = self._source[where.cpu().numpy() if isinstance(where, Tensor) else where]
        # torch takes native, contiguous, writable arrays only; a memory map is none of these.
        native = picked.dtype.newbyteorder("=")
        return torch.from_numpy(np.array(picked, dtype=native, order="C"))

    def facts(self) -> dict[str, object]:
        """What tells these rows, as they are compared, from any others; by its name in an error."""
        form = f"{self.dim} columns of {self.dtype} on {self.device.type}, {self.distance}"
        return {self._name: self.keys, f"the {self._name} as": form}

    def in_order(self, order: Tensor) -> Rows:
        """The same rows under other numbers: row i is ``order[i]`` of these.

        Args:
            order: int64 ``[N]``, on the host.
        """
        view = copy.copy(self)
        view._order = order
        return view

    def stretches(self) -> Iterator[slice]:
        """All rows in slices of a size that is read at once."""
        step = max(1, _AT_ONCE // self.dim)
        return (slice(start, start + step) for start in range(0, len(self), step))

    def sample(self) -> Tensor:
        """A few rows from all over the set, uncentred."""
        step = max(1, len(self) // _SAMPLED)
        return self.uncentred(slice(0, step * _SAMPLED, step))

    def _check_beside(self, other: Rows) -> None:
        if self.dim != other.dim:
            raise ValueError(
                f"{self._name} have {self.dim} columns but {other._name} has {other.dim}"
            )
        if self.device != other.device:
            raise ValueError(
                f"{self._name} are on {self.device} but {other._name} on {other.device}"
            )

    def _looked_over(self) -> Tensor:
        """Check every row, and give the key of each."""
        # One piece of memory for all keys: small pieces, kept between the large ones of each
        # stretch, would scatter these over the heap, until as much is lost as all rows take.
        keys = torch.empty(len(self), dtype=torch.int64, device=self.device)
        for part in self.stretches():
            rows = self.raw(part)
            bad = first_bad_row(rows)
            if bad is not None:
                raise ValueError(
                    f"{self._name} hold NaN or infinity, first in row "
                    f"{part.start + bad} of {len(self)}"
                )
            lifted = rows.to(self._own_dtype)
            if not self.distance.normalize:
                check_lengths(lifted, self._name, first_row=part.start)
            keys[part] = row_keys(lifted.double())  # one key for a row in either precision
        return keys


class _Compared:
    """What sets of rows that are compared with one another share."""

    def __init__(self) -> None:
        self._members: list[Rows] = []

    def add(self, rows: Rows) -> None:
        if "centre" in self.__dict__:
            raise RuntimeError("rows were read before all sets they are compared with were known")
        self._members.append(rows)

    @property
    def dtype(self) -> torch.dtype:
        """float64 if any set is, else float32."""
        double = any(rows._own_dtype == torch.float64 for rows in self._members)
        return torch.float64 if double else torch.float32

    @cached_property
    def centre(self) -> Tensor:
        """The centre of a few rows of the first set, for all."""
        some = self._members[0].sample()
        return centre(some) if len(some) else some.new_zeros(some.shape[1])

    @cached_property
    def largest(self) -> float | None:
        """Where rows may tie, the largest entry of all; else None.

        Rows may tie where two are identical, in one set or in two, or where all are codes.
        """
        keys = torch.cat([rows.keys for rows in self._members])
        codes = [are_codes(rows.sample() - self.centre) for rows in self._members if len(rows)]
        if not bool(any_equal(keys)) and not (codes and bool(torch.stack(codes).all())):
            return None
        parts = ((rows, part) for rows in self._members for part in rows.stretches())
        return max(float(rows.plain(part).abs().amax()) for rows, part in parts)


def _checked_source(embeddings: Embeddings, name: str) -> Embeddings:
    """What rows are read from, or an error that says what arrived."""
    if isinstance(embeddings, Tensor):
        check_matrix(embeddings, name)
        source: Embeddings = embeddings.detach()
    elif isinstance(embeddings, np.ndarray):
        if embeddings.dtype.kind != "f":
            raise TypeError(f"{name} must be floating point, got {embeddings.dtype}")
        if embeddings.dtype.itemsize > 8:
            raise TypeError(f"{name} must be at most float64, got {embeddings.dtype}")
        if embeddings.ndim != 2:
            raise ValueError(f"{name} must have shape [rows, dim], got {embeddings.shape}")
        source = embeddings
    else:
        raise TypeError(f"{name} must be a tensor or array, got {type(embeddings).__name__}")
    if embeddings.shape[1] == 0:
        raise ValueError(f"{name} have no columns: shape {tuple(embeddings.shape)}")
    return source
