"""How well a threshold on the distance tells genuine from impostor pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def threshold_gain(
    genuine: npt.NDArray[np.int64],
    impostor: npt.NDArray[np.int64],
    of_genuine: int,
    of_impostor: int,
    *,
    balanced: bool = True,
) -> npt.NDArray[Any]:
    """How much better each threshold is than one that accepts no pair; 0 for the latter.

    The gain falls as the verification error rises: the mean of the share of genuine pairs rejected
    and the share of impostor pairs accepted or, if not ``balanced``, the number of both. It is a
    whole number, so that equally good thresholds have equal gains; only where that would be
    beyond int64, it is made of shares, which are rounded.

    Args:
        genuine: how many genuine pairs each threshold accepts, ``[U]``.
        impostor: how many impostor pairs, ``[U]``.
        of_genuine: how many genuine pairs there are.
        of_impostor: how many impostor pairs there are.
        balanced: which of the two errors.

    Example:
        >>> threshold_gain(np.array([0, 1, 2]), np.array([0, 0, 3]), 2, 3).tolist()
        [0, 3, 0]
    """
    if not balanced:
        return genuine - impostor
    if int(of_genuine) * int(of_impostor) >= 2**63:
        return genuine / of_genuine - impostor / of_impostor
    return genuine * of_impostor - impostor * of_genuine
