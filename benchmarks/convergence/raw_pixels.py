"""The embedding that a method must beat to have learnt anything."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def raw_pixels(images: Tensor) -> Tensor:
    """Pixels as an embedding: each image less its own mean, scaled to unit length.

    Args:
        images: ``[N, 1, H, W]``.

    Returns:
        Unit vectors ``[N, H·W]``.

    Example:
        >>> import torch
        >>> raw_pixels(torch.tensor([[[[0.0, 2.0]]]]))
        tensor([[-0.7071,  0.7071]])
    """
    pixels = images.flatten(1)
    return F.normalize(pixels - pixels.mean(dim=1, keepdim=True), dim=1)
