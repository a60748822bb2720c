"""Images within a picture: each in a frame of its own, in whatever form it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_OVERSHOT = 0.1


def framed(panel: Axes, image: npt.NDArray[np.floating[Any]], colour: str) -> Axes:
    """An image in a frame, without ticks.

    Args:
        panel: where to draw.
        image: what :func:`shown` returned, or several of these joined.
        colour: of the frame.
    """
    panel.imshow(image, cmap="gray", vmin=0, vmax=1)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set(color=colour, linewidth=1.6)
    return panel


def shown(image: Any) -> npt.NDArray[np.floating[Any]]:
    """One image as matplotlib takes it, ``[H, W]`` or ``[H, W, 3]`` in 0..1.

    Args:
        image: ``[H, W]``, ``[1 or 3, H, W]`` or ``[H, W, 1 or 3]``, in 0..1 or uint8.

    Raises:
        ValueError: another shape, or pixels beyond 0..1 by more than interpolation overshoots.

    Example:
        >>> shown(np.full((3, 8, 6), 255, dtype=np.uint8)).shape
        (8, 6, 3)
    """
    array = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
    whole = array.dtype == np.uint8
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)
    elif array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (1, 3)):
        raise ValueError(
            "images must be [N, H, W], [N, 1 or 3, H, W] or [N, H, W, 1 or 3], got one of "
            f"{array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    pixels = array.astype(np.float32) / (255 if whole else 1)
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if not -_OVERSHOT <= low <= high <= 1 + _OVERSHOT:
        raise ValueError(
            f"images must be in 0 … 1, or uint8; one is from {low:g} to {high:g}: undo what "
            "normalised it, or divide by 255"
        )
    return pixels.clip(0, 1)
