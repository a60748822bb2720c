from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from metricface.data import affine_jitter, random_crop, random_erase, random_flip
from tests.oracles import data as oracle


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=_generator(99), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("shape", [(9, 9), (7, 12), (10, 5)])
def test_it_is_rotation_and_scale_about_the_centre_then_a_move(
    shape: tuple[int, int], padding: Any
) -> None:
    images = _images(6, 2, *shape)
    out = affine_jitter(
        images, degrees=40, scale=0.3, shift=0.2, padding=padding, generator=_generator(5)
    )
    drawn = 2 * torch.rand(6, 4, generator=_generator(5)).double() - 1
    for image, result, (angle, factor, right, down) in zip(
        images, out, drawn.tolist(), strict=True
    ):
        for channel, jittered in zip(image, result, strict=True):
            expected = oracle.affine(
                channel.tolist(),
                degrees=40 * angle,
                factor=1 + 0.3 * factor,
                right=0.2 * right * shape[1],
                down=0.2 * down * shape[0],
                border=padding == "border",
            )
            torch.testing.assert_close(
                jittered, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9
            )


def test_nothing_to_do_changes_nothing() -> None:
    images = _images(3, 1, 8, 11)
    out = affine_jitter(images, degrees=0, scale=0, shift=0, generator=_generator())
    torch.testing.assert_close(out, images, rtol=0, atol=1e-6)


def test_each_image_has_its_own_jitter_within_the_range() -> None:
    images = torch.zeros(500, 1, 21, 21)
    images[:, :, 10, 10] = 1
    out = affine_jitter(images, degrees=0, scale=0, shift=0.1, generator=_generator())[:, 0]
    place = torch.arange(21.0) - 10
    for profile in (out.sum(1), out.sum(2)):
        moved = (profile * place).sum(1)
        assert moved.abs().max() <= 2.1
        assert moved.min() < -1.9 < 1.9 < moved.max()
        assert abs(moved.mean()) < 0.2


def test_the_generator_is_the_only_source() -> None:
    images = _images(4, 1, 8, 8)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = affine_jitter(images, generator=_generator(3))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(affine_jitter(images, generator=_generator(3)), first)
    assert not torch.equal(affine_jitter(images, generator=_generator(4)), first)
    generator = _generator(3)
    affine_jitter(images, generator=generator)
    assert not torch.equal(affine_jitter(images, generator=generator), first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_stays_and_the_sampling_is_exact(dtype: torch.dtype) -> None:
    images = _images(3, 2, 16, 16, dtype=dtype)
    out = affine_jitter(images, generator=_generator())
    assert out.dtype == dtype
    exact = affine_jitter(images.double(), generator=_generator())
    torch.testing.assert_close(out, exact.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-5)


def test_autocast_changes_nothing() -> None:
    images = _images(3, 1, 16, 16, dtype=torch.float32)
    outside = affine_jitter(images, generator=_generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = affine_jitter(images, generator=_generator())
    assert torch.equal(inside, outside)


def test_gradients_reach_the_images() -> None:
    images = _images(2, 1, 5, 5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: affine_jitter(x, generator=_generator()), (images,), fast_mode=True
    )


def test_an_empty_batch_stays_empty() -> None:
    out = affine_jitter(torch.zeros(0, 1, 4, 4), generator=_generator())
    assert out.shape == (0, 1, 4, 4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"degrees": -1.0}, "degrees .* got -1"),
        ({"scale": 1.0}, "scale .* below 1.0, got 1"),
        ({"shift": float("nan")}, "shift .* got nan"),
        ({"padding": "reflect"}, "got 'reflect'"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        affine_jitter(torch.zeros(1, 1, 4, 4), generator=_generator(), **settings)


def test_bad_images() -> None:
    with pytest.raises(TypeError, match="uint8"):
        affine_jitter(torch.from_numpy(np.zeros((1, 1, 4, 4), np.uint8)), generator=_generator())
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        affine_jitter(torch.zeros(4, 4), generator=_generator())


@pytest.mark.parametrize(
    "change",
    [
        affine_jitter,
        random_flip,
        random_erase,
        lambda images, generator: random_crop(images, (2, 2), generator=generator),
    ],
)
def test_arrays_and_missing_generators_are_said(change: Any) -> None:
    images = _images(2, 1, 4, 4)
    for other in (images.numpy(), images.tolist(), None):
        words = rf"images must be a tensor \[B, C, H, W\], got {type(other).__name__} .*from_numpy"
        with pytest.raises(TypeError, match=words):
            change(other, generator=_generator())
    for nothing in (None, 0, np.random.default_rng(0)):
        words = rf"generator must be a torch\.Generator, such as .*, got {type(nothing).__name__}"
        with pytest.raises(TypeError, match=words):
            change(images, generator=nothing)


@pytest.mark.parametrize("size", [112, (112,), (1, 2, 3)])
def test_a_size_is_a_height_and_a_width(size: Any) -> None:
    with pytest.raises(ValueError, match=r"size must be \(height, width\), got "):
        random_crop(_images(2, 1, 4, 4), size, generator=_generator())
