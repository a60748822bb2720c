"""The networks: within a run, every method trains the same one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SmallConvNet(nn.Module):
    """Four convolutions and a linear projection.

    Each block is a 3×3 convolution, batch normalisation and ReLU; the first three halve the
    image, the last is pooled to 3×3 whatever the size of the image. About 245,000 weights at
    ``dim=128``. Channels are last in memory, which on a CPU is nearly twice as fast.

    Embeddings keep their length: losses and evaluation that want unit length take care of it,
    and classifiers that use the length find it.

    Args:
        dim: length ``D`` of the embedding.

    Example:
        >>> network = SmallConvNet(dim=16).eval()
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 16])
    """

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        widths = (1, 16, 32, 64, 128)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in pairwise(widths)
        )
        self.projection = nn.Linear(widths[-1] * 9, dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` for grey images ``[B, 1, H, W]`` in 0..1."""
        images = images.contiguous(memory_format=torch.channels_last)
        *halving, last = self.blocks
        for block in halving:
            images = F.max_pool2d(block(images), 2)
        pooled = F.adaptive_avg_pool2d(last(images), 3)
        embeddings: Tensor = self.projection(pooled.flatten(1))
        return embeddings


class StridedConvNet(nn.Module):
    """Three wider convolutions, the first in steps of two, for long runs on a processor.

    A 5×5 convolution of stride 2 and two of 3×3, each followed by a maximum over 2×2 (the last
    by a mean over what is left, to 4×4), batch normalisation and ReLU. More weights than
    :class:`SmallConvNet`, 524,000 at ``dim=128``, in about two thirds of its time: much of what
    costs there is not the products but passing over the large early maps.

    Args:
        dim: length ``D`` of the embedding.

    Example:
        >>> network = StridedConvNet(dim=16).eval()
        >>> network(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 16])
    """

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        widths = (1, 32, 64, 192)
        sizes, strides = (5, 3, 3), (2, 1, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
            for (before, after), size, stride in zip(pairwise(widths), sizes, strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.projection = nn.Linear(widths[-1] * 16, dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` for grey images ``[B, 1, H, W]`` in 0..1."""
        images = images.contiguous(memory_format=torch.channels_last)
        for number, (convolve, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            images = convolve(images)
            last = number == len(self.norms) - 1
            images = F.adaptive_avg_pool2d(images, 4) if last else F.max_pool2d(images, 2)
            images = F.relu(norm(images))
        embeddings: Tensor = self.projection(images.flatten(1))
        return embeddings


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "small": SmallConvNet,
    "strided": StridedConvNet,
}
"""The networks by the name that settings give them."""
