"""Which samples of a set are meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

Indices: TypeAlias = "Sequence[int] | npt.NDArray[np.integer[Any]] | Tensor"
"""Places of samples in their set."""


def selected(indices: Indices) -> npt.NDArray[np.integer[Any]]:
    """Indices as a one-dimensional integer array.

    Args:
        indices: integers ``[M]``.

    Returns:
        Array ``[M]`` with an integer dtype.

    Raises:
        TypeError: the indices are not integers.
        ValueError: the indices are not one-dimensional.

    Example:
        >>> selected([2, 0]).tolist(), selected([]).dtype.kind
        ([2, 0], 'i')
    """
    chosen = np.asarray(indices)
    if chosen.ndim != 1:
        raise ValueError(f"indices must be one-dimensional, got shape {chosen.shape}")
    if chosen.size == 0:  # an empty list arrives as floats
        chosen = chosen.astype(np.int64)
    if chosen.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, got dtype {chosen.dtype}")
    return chosen
