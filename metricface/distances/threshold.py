"""What a threshold on the distance is worth that tells genuine from impostor pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_LARGEST = np.iinfo(np.int64).max


def threshold_gain(
    genuine: npt.NDArray[np.int64],
    impostor: npt.NDArray[np.int64],
    of_genuine: int,
    of_impostor: int,
    *,
    balanced: bool = True,
) -> npt.NDArray[Any]:
    """How much better each threshold is than one that accepts no pair: 0 where neither is.

    The gain falls as the verification error rises. That error is the mean of the share of genuine
    pairs rejected and the share of impostor pairs accepted; if not balanced, the number of pairs
    that are told wrongly.

    Args:
        genuine: how many genuine pairs each threshold accepts, ``[U]``.
        impostor: how many impostor pairs, ``[U]``.
        of_genuine: how many genuine pairs there are.
        of_impostor: how many impostor pairs there are.
        balanced: which of the two errors.

    Returns:
        ``[U]``: whole numbers, so that equally good thresholds have equal gains. Only where these
        would be beyond int64 they are shares, and equal gains equal to within rounding.

    Example:
        >>> threshold_gain(np.array([0, 1, 2]), np.array([0, 0, 3]), 2, 3).tolist()
        [0, 3, 0]
    """
    if not balanced:
        return genuine - impostor
    if int(of_genuine) * int(of_impostor) > _LARGEST:
        return genuine / of_genuine - impostor / of_impostor
    return genuine * of_impostor - impostor * of_genuine
