"""Networks that are usual for faces, and how another one takes their place."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

#: Residual units of each stage, and its channels, by the name on the command line; 512 dimensions
#: is what the two papers' networks give.
IR_STAGES = {
    "ir-tiny": ((1, 1, 1, 1), (16, 16, 32, 64, 128)),
    "ir-18": ((2, 2, 2, 2), (64, 64, 128, 256, 512)),
    "ir-50": ((3, 4, 14, 3), (64, 64, 128, 256, 512)),
}


class SphereFace20(nn.Module):
    """SphereFace's 20-layer network: 20 convolutions in four stages, and a linear layer.

    Each stage begins with a convolution of stride 2; units of two convolutions are added to what
    they are given. PReLU after every convolution, no normalisation. With 512 dimensions and crops
    of 112 × 96 it has 22.7 million weights.

    Args:
        dim: length ``D`` of the embedding.
        size: height and width of the crops.

    Example:
        >>> SphereFace20(64, (32, 32))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 64])

    Reference: Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", CVPR 2017,
        table 2.
    """

    def __init__(self, dim: int = 512, size: tuple[int, int] = (112, 96)) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for width, units in zip((64, 128, 256, 512), (1, 2, 4, 1), strict=True):
            stages += [_convolved(before, width, stride=2)]
            stages += [_PlainUnit(width) for _ in range(units)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.projection = nn.Linear(512 * _cells(size), dim)
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` of crops ``[B, 3, H, W]``, about -1 to 1."""
        embeddings: Tensor = self.projection(self.stages(images).flatten(1))
        return embeddings


class _PlainUnit(nn.Module):
    """Two convolutions, added to their input; they begin small, so that it begins as nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(_convolved(width, width), _convolved(width, width))
        for module in self.inner.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, inputs: Tensor) -> Tensor:
        sums: Tensor = inputs + self.inner(inputs)
        return sums


def _convolved(before: int, after: int, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(torch.as_tensor(layer.bias))
    return nn.Sequential(layer, nn.PReLU(after))


class IRResNet(nn.Module):
    """ArcFace's improved residual network: the first convolution keeps the crop's size.

    A unit is normalisation, convolution, normalisation, PReLU, convolution (of stride 2 in a
    stage's first unit), normalisation, added to its input. Behind the last stage stand
    normalisation, dropout, a linear layer over all places, and normalisation.

    Args:
        dim: length ``D`` of the embedding.
        size: height and width of the crops.
        units: in each of the four stages.
        widths: channels of the first convolution and of the stages.
        dropout: before the linear layer.

    Example:
        >>> network = IRResNet(32, (48, 40), *IR_STAGES["ir-tiny"]).eval()
        >>> network(torch.zeros(2, 3, 48, 40)).shape
        torch.Size([2, 32])

    Reference: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR
        2019, section 3.1.
    """

    def __init__(
        self,
        dim: int = 512,
        size: tuple[int, int] = (112, 112),
        units: tuple[int, ...] = (2, 2, 2, 2),
        widths: tuple[int, ...] = (64, 64, 128, 256, 512),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        first, before = widths[0], widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.PReLU(first),
        )
        stages: list[nn.Module] = []
        for width, count in zip(widths[1:], units, strict=True):
            for number in range(count):
                stages.append(_IRUnit(before, width, stride=2 if number == 0 else 1))
                before = width
        self.stages = nn.Sequential(*stages, nn.BatchNorm2d(before))
        self.projection = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(before * _cells(size), dim),
            nn.BatchNorm1d(dim),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` of crops ``[B, 3, H, W]``, about -1 to 1."""
        embeddings: Tensor = self.projection(self.stages(self.stem(images)))
        return embeddings


class _IRUnit(nn.Module):
    """Two convolutions between normalisations, added to what they are given."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.PReLU(after),
            nn.Conv2d(after, after, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(after),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        sums: Tensor = self.shortcut(inputs) + self.inner(inputs)
        return sums


class Centred(nn.Module):
    """A network that is given crops of 0 … 1, grey or colour, and sees three channels of -1 … 1.

    Args:
        network: of crops ``[B, 3, H, W]``.

    Example:
        >>> Centred(nn.Flatten())(torch.ones(1, 1, 1, 2)).tolist()
        [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]``."""
        embeddings: Tensor = self.network(images.expand(-1, 3, -1, -1) * 2 - 1)
        return embeddings


def make_network(name: str, dim: int, size: tuple[int, int]) -> Centred:
    """A network by the name that the command line was given.

    Args:
        name: ``"sphereface-20"``, one of :data:`IR_STAGES`, ``"timm:NAME"``,
            ``"torchvision:NAME"``, or ``"MODULE:FUNCTION"`` of one's own, which is called as
            ``function(dim, size)``.
        dim: length of the embedding.
        size: height and width of the crops.

    Raises:
        ValueError: no such network.
        ImportError: its library is missing.

    Example:
        >>> type(make_network("ir-tiny", 8, (32, 32)).network).__name__
        'IRResNet'
    """
    if name == "sphereface-20":
        return Centred(SphereFace20(dim, size))
    if name in IR_STAGES:
        return Centred(IRResNet(dim, size, *IR_STAGES[name]))
    library, _, of_it = name.partition(":")
    if not of_it:
        known = ", ".join(("sphereface-20", *IR_STAGES))
        raise ValueError(
            f"network must be {known}, timm:NAME, torchvision:NAME or MODULE:FUNCTION, got {name!r}"
        )
    made: Any
    if library == "timm":
        made = import_module("timm").create_model(of_it, num_classes=dim)
    elif library == "torchvision":
        made = import_module("torchvision.models").get_model(of_it, num_classes=dim)
    else:
        function = getattr(import_module(library), of_it, None)
        if function is None:
            raise ValueError(f"module {library} has no {of_it}")
        made = function(dim, size)
    return Centred(made)


def _cells(size: tuple[int, int]) -> int:
    """Places that are left of a crop after four strides of 2."""
    return -(-size[0] // 16) * -(-size[1] // 16)
