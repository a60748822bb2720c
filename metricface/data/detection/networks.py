"""The three networks of MTCNN, without weights."""

from __future__ import annotations

from torch import Tensor, nn

NAMES = ("pnet", "rnet", "onet")


class Network(nn.Module):
    """Layers that all answers share, and one last layer for each answer.

    Args:
        trunk: the shared layers, whose last is convolutional or dense.
        heads: the last layers: how far the box is off, then where the points are, where the
            network tells it, then whether it is a face.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     answers = network("onet")(torch.zeros(7, 3, 48, 48))
        >>> [tuple(answer.shape) for answer in answers]
        [(7, 4), (7, 10), (7,)]
    """

    def __init__(self, trunk: nn.Sequential, *heads: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(heads)

    def forward(self, windows: Tensor) -> tuple[Tensor, ...]:
        """What is in each window.

        Args:
            windows: ``[N, 3, H, W]`` with values of about -1 to 1.

        Returns:
            What the heads answer; the last is the probability of a face.
        """
        shared = self.trunk(windows)
        *places, faces = (head(shared) for head in self.heads)
        return (*places, faces.softmax(1)[:, 1])


def network(name: str) -> Network:
    """One of the three networks: ``"pnet"``, ``"rnet"`` or ``"onet"``.

    Args:
        name: which of them.

    Returns:
        A network whose parameters have the order in which the weights are stored. They are drawn
        at random, so it is made on the device "meta" where nothing may be drawn.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     [sum(p.numel() for p in network(name).parameters()) for name in NAMES]
        [6632, 100178, 389040]
    """
    return {"pnet": _proposals, "rnet": _refinement, "onet": _output}[name]()


def _proposals() -> Network:
    # Convolutions alone: over a picture, it looks at each window of 12 x 12 pixels, 2 apart.
    trunk = nn.Sequential(
        *_convolution(3, 10, 3), _pool(2), *_convolution(10, 16, 3), *_convolution(16, 32, 3)
    )
    return Network(trunk, nn.Conv2d(32, 4, 1), nn.Conv2d(32, 2, 1))


def _refinement() -> Network:
    trunk = nn.Sequential(
        *_convolution(3, 28, 3),
        _pool(3),
        *_convolution(28, 48, 3),
        _pool(3),
        *_convolution(48, 64, 2),
        *_dense(64 * 3 * 3, 128),
    )
    return Network(trunk, nn.Linear(128, 4), nn.Linear(128, 2))


def _output() -> Network:
    trunk = nn.Sequential(
        *_convolution(3, 32, 3),
        _pool(3),
        *_convolution(32, 64, 3),
        _pool(3),
        *_convolution(64, 64, 3),
        _pool(2),
        *_convolution(64, 128, 2),
        *_dense(128 * 3 * 3, 256),
    )
    return Network(trunk, nn.Linear(256, 4), nn.Linear(256, 10), nn.Linear(256, 2))


def _convolution(channels: int, features: int, side: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, features, side), nn.PReLU(features)]


def _dense(inputs: int, features: int) -> list[nn.Module]:
    return [_Columns(), nn.Linear(inputs, features), nn.PReLU(features)]


def _pool(side: int) -> nn.Module:
    # Caffe, in which the networks were trained, pools what is left over at the far edges too.
    return nn.MaxPool2d(side, 2, ceil_mode=True)


class _Columns(nn.Module):
    """Each feature map flattened column by column: the networks were trained in MATLAB's order."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 3, 2, 1).flatten(1)
