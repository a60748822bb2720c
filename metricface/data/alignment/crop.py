"""A crop from a photograph, by one resampling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.data.alignment.similarity import inverse


def warp(
    image: Tensor,
    matrix: npt.NDArray[np.float64],
    size: tuple[int, int],
    *,
    fill: float = 0.0,
    antialias: bool = False,
) -> Tensor:
    """The pixels of a crop, each interpolated between four of the photograph's.

    Args:
        image: float ``[C, H, W]``; the centre of the first pixel is (0, 0).
        matrix: from the photograph's coordinates to the crop's, ``[2, 3]``.
        size: height and width of the crop.
        fill: what lies beyond the photograph.
        antialias: where the crop is smaller than what it shows, the mean of as many samples as
            the photograph has pixels there. Without it (as OpenCV and insightface crop) pixels
            are passed over, and a face much larger than its crop looks rough.

    Returns:
        ``[C, h, w]``, of the image's dtype.

    Example:
        >>> image = torch.arange(12.0).view(1, 3, 4)
        >>> shift = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # what was at x = 1 is at 0
        >>> warp(image, shift, (2, 3))[0]
        tensor([[1., 2., 3.],
                [5., 6., 7.]])
    """
    back = inverse(matrix)
    shrunk = float(np.hypot(back[0, 0], back[1, 0]))  # pixels of the photograph to one of the crop
    parts = max(1, int(np.ceil(shrunk - 1e-6))) if antialias else 1
    height, width = size[0] * parts, size[1] * parts
    # Centres of the samples: parts² of them within each pixel of the crop.
    y = (np.arange(height) + 0.5) / parts - 0.5
    x = (np.arange(width) + 0.5) / parts - 0.5
    at_x = back[0, 0] * x[None] + back[0, 1] * y[:, None] + back[0, 2]
    at_y = back[1, 0] * x[None] + back[1, 1] * y[:, None] + back[1, 2]
    # Of −1 … 1 from the left edge of the first pixel to the right edge of the last.
    scaled = [
        (2 * at + 1) / length - 1 for at, length in ((at_x, image.shape[2]), (at_y, image.shape[1]))
    ]
    grid = torch.from_numpy(np.stack(scaled, -1)).to(image)
    found = F.grid_sample(image[None] - fill, grid[None], align_corners=False) + fill
    return (F.avg_pool2d(found, parts) if parts > 1 else found)[0]
