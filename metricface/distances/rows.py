"""Embeddings of a whole data set, read some rows at a time from wherever they lie."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metricface.distances.distance import Distance
from metricface.types import Embeddings

_CHECKED = 1 << 16  # rows looked at together for NaN
_CENTRING = 256  # rows whose mean stands for that of all


class PreparedRows:
    """Rows as the distance compares them, made when asked for: the whole is never copied.

    Rows are lifted from half precision, normalised where the distance says so, and less the
    mean of a few of them: distances stay, and the matrix product loses less to cancellation.

    Args:
        embeddings: floating ``[N, D]``; an ``np.memmap`` stays on disk.
        distance: what is measured.
        beside: rows these are compared with, whose centre they take, and whose dtype if longer.
        name: what to call them in an error.

    Raises:
        TypeError: not a floating array or tensor.
        ValueError: not a matrix, or a row holds NaN or infinity (the first is named); other
            dimensions or another device than the rows beside.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> rows = PreparedRows(np.array([[3.0], [5.0]]), SquaredEuclidean(normalize=False))
        >>> rows[0:2].flatten().tolist()
        [-1.0, 1.0]
    """

    def __init__(
        self,
        embeddings: Embeddings,
        distance: Distance,
        *,
        beside: PreparedRows | None = None,
        name: str = "embeddings",
    ) -> None:
        if isinstance(embeddings, Tensor):
            self._source: Embeddings = embeddings.detach()
            floating = embeddings.is_floating_point()
        elif isinstance(embeddings, np.ndarray):
            self._source = embeddings
            floating = embeddings.dtype.kind == "f" and embeddings.dtype.itemsize <= 8
        else:
            raise TypeError(f"{name} must be a tensor or array, got {type(embeddings).__name__}")
        if not floating:
            raise TypeError(f"{name} must be floating point, got {embeddings.dtype}")
        if embeddings.ndim != 2:
            shape = tuple(embeddings.shape)
            raise ValueError(f"{name} must have shape [rows, dim], got {shape}")
        self._distance, self._name = distance, name
        self._check_finite()
        step = max(1, len(self) // _CENTRING)
        some = self.raw(slice(0, step * _CENTRING, step))
        self.device, self.dim = some.device, some.shape[1]
        if beside is not None:
            self._check_beside(beside)
        self._near_centre: Tensor = some if beside is None else beside._near_centre
        self.dtype = self[:0].dtype

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._source)

    def __getitem__(self, where: slice | Tensor) -> Tensor:
        """Some rows, prepared, ``[b, D]``.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        return self._distance.prepare(self.raw(where), self._near_centre)[0]

    def uncentred(self, where: slice | Tensor) -> Tensor:
        """Some rows lifted and, where the distance says so, normalised, ``[b, D]``.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        raw = self.raw(where)
        return self._distance.prepare(raw, torch.zeros_like(self._near_centre[:1]))[0]

    def raw(self, where: slice | Tensor) -> Tensor:
        """Some rows as they are, ``[b, D]``; a memory-mapped array is read in the order stored.

        Args:
            where: a slice, or row numbers (int64, not negative).
        """
        if isinstance(self._source, Tensor):
            here = where.to(self._source.device) if isinstance(where, Tensor) else where
            return self._source[here]
        picked = self._source[where.cpu().numpy() if isinstance(where, Tensor) else where]
        # torch takes native, contiguous, writable arrays only; a memory map is none of these.
        native = picked.dtype.newbyteorder("=")
        return torch.from_numpy(np.array(picked, dtype=native, order="C"))

    def _check_beside(self, other: PreparedRows) -> None:
        if self.dim != other.dim:
            raise ValueError(
                f"{self._name} have {self.dim} columns but {other._name} has {other.dim}"
            )
        if self.device != other.device:
            raise ValueError(
                f"{self._name} are on {self.device} but {other._name} on {other.device}"
            )

    def _check_finite(self) -> None:
        for start in range(0, len(self), _CHECKED):
            part = self.raw(slice(start, start + _CHECKED))
            if bool(torch.isfinite(part.sum(dtype=torch.float64))):
                continue
            bad = (~torch.isfinite(part)).any(dim=1).nonzero()
            if len(bad):
                raise ValueError(
                    f"{self._name} hold NaN or infinity, first in row "
                    f"{start + int(bad[0])} of {len(self)}"
                )
