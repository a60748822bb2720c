"""Labels of a set as the numbers of named identities."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from metricface.types import Labels, numbered


def named_identities(labels: Labels) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Identities numbered 0 to C − 1 in the sorted order of their labels, and their names.

    Args:
        labels: ``[N]``, integers or strings.

    Returns:
        The number of each sample's identity, int64 ``[N]``, and the ``C`` names.

    Raises:
        TypeError: labels are neither integers nor strings.
        ValueError: labels are not one-dimensional.

    Example:
        >>> named_identities([20, 7, 20])
        (array([1, 0, 1]), ('7', '20'))
    """
    numbers, values = numbered(labels)
    names = (name.decode() if isinstance(name, bytes) else str(name) for name in values.tolist())
    return numbers, tuple(names)


def check_labels(labels: object, names: object, count: int) -> None:
    """Raise unless there is one number for each of ``count`` images and a name for each number.

    Args:
        labels: what should be int64 ``[N]``, each in ``0 … C-1``.
        names: what should be a tuple of ``C`` strings.
        count: how many images there are.

    Raises:
        TypeError: labels are not int64, or names are not strings.
        ValueError: not as many labels as images, or a label without a name.

    Example:
        >>> check_labels(np.array([0, 2]), ("ann", "ben"), 2)
        Traceback (most recent call last):
        ...
        ValueError: labels reach from 0 to 2, with 2 names
    """
    if not isinstance(labels, np.ndarray):
        raise TypeError(f"labels must be a numpy array, got {type(labels).__name__}")
    if labels.dtype != np.int64:
        raise TypeError(f"labels must be int64, got {labels.dtype}")
    if labels.ndim != 1:
        raise ValueError(f"labels must have 1 dimension, got shape {labels.shape}")
    if count != len(labels):
        raise ValueError(f"got {count} images but {len(labels)} labels")
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError("names must be a tuple of strings, one per identity")
    if labels.size:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(names):
            raise ValueError(f"labels reach from {low} to {high}, with {len(names)} names")


def warn_without_pairs(labels: npt.NDArray[np.int64], source: object) -> None:
    """Warn if every image has an identity of its own, as after a mix-up of folders or columns.

    Args:
        labels: int64 ``[N]``, from 0 up.
        source: where they come from.

    Example:
        >>> warn_without_pairs(np.array([0, 1, 1]), "faces.csv")
    """
    if len(labels) and np.bincount(labels).max() < 2:
        warnings.warn(
            f"no identity of {source} has a second image, so there is no positive pair to learn "
            "from",
            stacklevel=3,
        )
