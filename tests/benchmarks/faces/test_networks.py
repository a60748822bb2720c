"""The networks for faces: as published, and replaceable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.faces.features import Averaged, inner_crop
from benchmarks.faces.networks import Centred, IRResNet, SphereFace20, make_network


def weights_of(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


def test_sphereface_has_the_published_layers_and_weights() -> None:
    network = SphereFace20()
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    assert len(convolutions) == 20
    assert [each.out_channels for each in convolutions if each.stride == (2, 2)] == [
        *(64, 128, 256, 512)
    ]
    # By table 2 of the paper: pairs of channels, each a 3 x 3 convolution with bias and PReLU,
    # then 512 of the 7 x 6 places of 512 channels.
    layers = [(3, 64), *[(64, 64)] * 2, (64, 128), *[(128, 128)] * 4]
    layers += [(128, 256), *[(256, 256)] * 8, (256, 512), *[(512, 512)] * 2]
    by_hand = sum(9 * a * b + 2 * b for a, b in layers) + 512 * 7 * 6 * 512 + 512
    assert weights_of(network) == by_hand == 22_670_656


def test_the_ir_resnet_of_18_layers_has_the_weights_of_insightfaces() -> None:
    assert weights_of(IRResNet()) == 24_025_600


@pytest.mark.parametrize("name", ["sphereface-20", "ir-tiny"])
@pytest.mark.parametrize("size", [(40, 32), (35, 49)])
def test_a_network_gives_embeddings_of_any_size_of_crop(name: str, size: tuple[int, int]) -> None:
    network = make_network(name, 12, size)
    assert network(torch.rand(2, 1, *size)).shape == (2, 12)
    assert network(torch.rand(2, 3, *size)).shape == (2, 12)


def own(dim: int, size: tuple[int, int]) -> nn.Module:
    """A network as a user would write one."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], dim))


def test_a_network_of_ones_own_takes_their_place() -> None:
    network = make_network(f"{__name__}:own", 5, (8, 6))
    assert network(torch.rand(2, 3, 8, 6)).shape == (2, 5)


def test_unknown_networks_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"sphereface-20, ir-tiny, .* timm:NAME.*'resnet18'"):
        make_network("resnet18", 8, (16, 16))
    with pytest.raises(ValueError, match="has no nothing"):
        make_network("math:nothing", 8, (16, 16))


class Left(nn.Module):
    """The left column's mean, so that mirroring shows."""

    def forward(self, images: Tensor) -> Tensor:
        return images[..., 0].mean(dim=(1, 2))[:, None]


def test_flipping_and_two_crops_average_what_they_say() -> None:
    images = torch.rand(3, 1, 16, 16)
    network = Left()
    mirrored = images.flip(-1)
    inner = inner_crop(images)
    torch.testing.assert_close(Averaged(network)(images), network(images))
    torch.testing.assert_close(
        Averaged(network, flip=True)(images), (network(images) + network(mirrored)) / 2
    )
    both = Averaged(network, flip=True, two_crops=True)(images)
    parts = [network(view) for view in (images, mirrored, inner, inner.flip(-1))]
    torch.testing.assert_close(both, torch.stack(parts).mean(0))


def test_the_second_crop_is_the_inner_seven_eighths() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    inner = inner_crop(ramp)
    assert inner[0, 0, 0, 0].item() == pytest.approx(2 / 31, abs=1e-6)  # 32 / 16 pixels on a side
    assert inner[0, 0, 0, -1].item() == pytest.approx(29 / 31, abs=1e-6)


def test_images_are_centred_once() -> None:
    seen = Centred(nn.Identity())(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1))
    assert seen.flatten().tolist() == [-1, 0, 1]
