"""Labels as the class numbers a classifier counts by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metricface.embeddings import may_look
from metricface.types import Labels, label_array


def class_numbers(labels: Labels, num_classes: int, embeddings: Tensor) -> Tensor:
    """Check labels against a number of classes and a batch.

    Labels on an accelerator are looked at only while
    :class:`~metricface.embeddings.set_finite_check` is on, since the host has to wait for them.

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
    if may_look(numbers):
        bad = (numbers < 0) | (numbers >= num_classes)
        if bad.any():
            row = int(bad.nonzero()[0])
            raise ValueError(
                f"labels must be class numbers from 0 to {num_classes - 1}, "
                f"got {int(numbers[row])} in row {row} of {len(numbers)}"
            )
    return numbers.to(embeddings.device)


def _not_integer(labels: Tensor) -> bool:
    kinds = (torch.bool, torch.uint64)
    return labels.is_floating_point() or labels.is_complex() or labels.dtype in kinds
