"""Which pictured identities differ enough to be told apart."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def distinct(images: npt.NDArray[np.uint8], threshold: float) -> npt.NDArray[np.int64]:
    """Indices of the identities that look like no earlier one that was kept.

    Identity ``i`` is kept when, for every kept ``j < i``,
    ``sqrt(mean over faces and pixels of (x_i - x_j)²) > threshold``.

    The squared distances are sums of integers below 2**53, so they are exact in float64 and the
    choice is the same on every machine.

    Args:
        images: uint8 ``[C, K, H, W]``, the same ``K`` faces of each of ``C`` identities.
        threshold: root mean square distance, with white counted as 1; 0 drops equal ones only.

    Returns:
        int64, increasing.

    Raises:
        ValueError: images of another shape, or a threshold that is negative or not finite.

    Example:
        >>> black, grey = np.zeros((1, 2, 3, 3), np.uint8), np.full((1, 2, 3, 3), 51, np.uint8)
        >>> distinct(np.concatenate([black, grey, black]), threshold=0.1)
        array([0, 1])
        >>> distinct(np.concatenate([black, grey, black]), threshold=0.3)
        array([0])
    """
    if images.ndim != 4:
        raise ValueError(f"images must be [C, K, H, W], got shape {images.shape}")
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ValueError(f"threshold must be finite and at least 0, got {threshold}")
    limit = (255 * threshold) ** 2 * math.prod(images.shape[1:])
    close = _squared_distances(images) <= limit
    kept: list[int] = []
    for candidate, alike in enumerate(close):
        if not alike[kept].any():
            kept.append(candidate)
    return np.array(kept, dtype=np.int64)


def _squared_distances(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Sums over faces and pixels ``[C, C]``, one face at a time to bound the memory."""
    count = len(images)
    products = np.zeros((count, count))
    for face in np.moveaxis(images, 1, 0):
        pixels = face.reshape(count, math.prod(face.shape[1:])).astype(np.float64)
        products += pixels @ pixels.T
    squares = np.diagonal(products)
    return squares[:, None] + squares - 2 * products
