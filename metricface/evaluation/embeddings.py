"""What arrives for evaluation, as a tensor that can be measured."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metricface.distances import Distance, SquaredEuclidean
from metricface.embeddings import check_embeddings
from metricface.types import Embeddings

DISTANCE: Distance = SquaredEuclidean()
"""What is measured unless said otherwise: FaceNet's distance of normalised embeddings, 0 to 4."""


def embedding_matrix(embeddings: Embeddings, name: str = "embeddings") -> Tensor:
    """Embeddings as a finite tensor ``[N, D]`` without gradient, where they already are.

    Args:
        embeddings: floating ``[N, D]``, array or tensor; read-only and memory-mapped arrays too.
        name: what to call them in an error.

    Raises:
        TypeError: not a floating array or tensor.
        ValueError: not a matrix, or a row holds NaN or infinity (the first such row is named).

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
    return x
