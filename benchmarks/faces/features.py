"""What a trained network says of a crop, on the average of what is nearly the same crop."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

INNER = 7 / 8
"""The second crop's part of the first's sides."""


class Averaged(nn.Module):
    """A network's embeddings, averaged over a crop's mirror image, or over two crops.

    The embeddings are averaged as the network gives them, before they are brought to unit
    length; comparisons do that.

    Args:
        network: of crops ``[B, C, H, W]``.
        flip: also the crop mirrored left for right.
        two_crops: also the inner seven eighths of its sides, enlarged to the same size.

    Example:
        >>> import torch
        >>> Averaged(nn.Flatten(), flip=True)(torch.tensor([[[[0.0, 1.0]]]])).tolist()
        [[0.5, 0.5]]
    """

    def __init__(self, network: nn.Module, *, flip: bool = False, two_crops: bool = False) -> None:
        super().__init__()
        self.network, self.flip, self.two_crops = network, flip, two_crops

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]``."""
        views = [images]
        if self.two_crops:
            views.append(inner_crop(images))
        if self.flip:
            views += [view.flip(-1) for view in views]
        total: Tensor = self.network(views[0])
        for view in views[1:]:
            total = total + self.network(view)
        return total / len(views)


def inner_crop(images: Tensor) -> Tensor:
    """The inner seven eighths of the sides, at the size of the whole.

    Example:
        >>> import torch
        >>> inner_crop(torch.eye(16)[None, None])[0, 0].shape
        torch.Size([16, 16])
    """
    height, width = images.shape[-2:]
    top, left = (round(side * (1 - INNER) / 2) for side in (height, width))
    inner = images[..., top : height - top, left : width - left]
    return F.interpolate(inner, size=(height, width), mode="bilinear", align_corners=False)
