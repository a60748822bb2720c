"""What may be given to evaluation: embeddings as one matrix, ranks, rates; the usual distance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from metricface.distances import Distance, SquaredEuclidean
from metricface.embeddings import check_embeddings
from metricface.given import arrived, as_count, as_number
from metricface.types import Embeddings

DISTANCE: Distance = SquaredEuclidean()
"""What is measured unless said otherwise: FaceNet's distance of normalised embeddings, 0 to 4."""


def embedding_matrix(embeddings: Embeddings, name: str = "embeddings") -> Tensor:
    """Embeddings as a finite tensor ``[N, D]`` without gradient, where they already are.

    Args:
        embeddings: floating ``[N, D]``, array or tensor; of a read-only or memory-mapped array
            all is copied into memory.
        name: what to call them in an error.

    Raises:
        TypeError: not a floating array or tensor.
        ValueError: not a matrix, no columns, or a row holds NaN or infinity (the first such row
            is named).

    Example:
        >>> embedding_matrix(np.zeros((2, 3), dtype=np.float16)).dtype
        torch.float16
    """
    if isinstance(embeddings, np.ndarray):
        if embeddings.dtype.kind != "f" or embeddings.dtype.itemsize > 8:
            raise TypeError(f"{name} must be float16, float32 or float64, got {embeddings.dtype}")
        # torch shares the memory of native, contiguous, writable arrays only.
        native = embeddings.dtype.newbyteorder("=")
        x = torch.from_numpy(np.require(embeddings, dtype=native, requirements=["C", "W"]))
    elif isinstance(embeddings, Tensor):
        x = embeddings.detach()
    else:
        raise TypeError(f"{name} must be a tensor or array, got {type(embeddings).__name__}")
    check_embeddings(x, names=(name, name))
    if x.shape[1] == 0:
        raise ValueError(f"{name} have no columns: shape {tuple(x.shape)}")
    return x


def checked_ranks(ranks: object, name: str) -> tuple[int, ...]:
    """The k of Recall@k or of rank-k rates, at least one of them.

    Raises:
        TypeError: no sequence, or not of integers.
        ValueError: none, or one below 1.

    Example:
        >>> checked_ranks([1, np.int64(5)], "ks")
        (1, 5)
    """
    if isinstance(ranks, str) or not isinstance(ranks, Iterable):
        raise TypeError(f"{name} must be a sequence of ranks such as (1, 5), got {arrived(ranks)}")
    checked = tuple(as_count(f"each of {name}", k) for k in ranks)
    if not checked:
        raise ValueError(f"{name} must be one or more ranks of at least 1, got ()")
    return checked


def checked_rates(rates: object, name: str) -> tuple[float, ...]:
    """False accept or false alarm rates, each in (0, 1].

    Raises:
        TypeError: no sequence, or not of numbers.
        ValueError: one out of range.

    Example:
        >>> checked_rates([0.1, 1], "fars")
        (0.1, 1.0)
    """
    if isinstance(rates, str) or not isinstance(rates, Iterable):
        raise TypeError(
            f"{name} must be a sequence of rates such as (0.1, 0.01), got {arrived(rates)}"
        )
    checked = tuple(as_number(f"each of {name}", rate) for rate in rates)
    for rate in checked:
        if not 0 < rate <= 1:
            raise ValueError(f"each of {name} must be in (0, 1], got {rate:g}")
    return checked
