"""Labels as the class numbers a classifier counts by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metricface.refusals import below
from metricface.transfers import sent
from metricface.types import Labels, label_array


def class_numbers(labels: Labels, num_classes: int, embeddings: Tensor) -> Tensor:
    """Check labels against a number of classes and a batch.

    Labels on an accelerator are looked at only while
    :class:`~metricface.embeddings.set_finite_check` is on, and as that says.

    Args:
        labels: integers ``[B]`` from 0 to C − 1.
        num_classes: C.
        embeddings: ``[B, D]``; only their number and device are looked at.

    Returns:
        int64 ``[B]`` on the device of the embeddings.

    Raises:
        TypeError: labels that are not integers.
        ValueError: as many labels as embeddings did not arrive, or one is out of range.

    Example:
        >>> class_numbers([0, 3], 3, torch.zeros(2, 8))
        Traceback (most recent call last):
        ...
        ValueError: labels must be class numbers from 0 to 2, got 3 in row 1 of 2
    """
    if isinstance(labels, Tensor) and labels.ndim == 1 and not _not_integer(labels):
        numbers = labels.long()
    else:
        array = label_array(labels)
        if array.dtype.kind not in "iu":
            raise TypeError(f"labels must be class numbers, got dtype {array.dtype}")
        numbers = torch.from_numpy(array.astype(np.int64))
    if len(numbers) != len(embeddings):
        raise ValueError(f"{len(embeddings)} embeddings came with {len(numbers)} labels")
    count = len(numbers)
    numbers = below(
        numbers,
        num_classes,
        lambda row, number: ValueError(
            f"labels must be class numbers from 0 to {num_classes - 1}, "
            f"got {number} in row {row} of {count}"
        ),
    )
    return sent(numbers, embeddings.device)


def _not_integer(labels: Tensor) -> bool:
    kinds = (torch.bool, torch.uint64)
    return labels.is_floating_point() or labels.is_complex() or labels.dtype in kinds
