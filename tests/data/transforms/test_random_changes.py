"""Random flips, crops and erasures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricface.data import random_crop, random_erase, random_flip


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _numbered(*shape: int) -> Tensor:
    """Every pixel of the batch has its own value."""
    return torch.arange(torch.Size(shape).numel()).view(shape)


_CHANGES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "flip": lambda x, generator: random_flip(x, generator=generator),
    "crop": lambda x, generator: random_crop(x, (5, 4), generator=generator),
    "erase": lambda x, generator: random_erase(x, generator=generator),
}
changes = pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)


@changes
def test_the_generator_is_the_only_source(change: Any) -> None:
    images = _numbered(16, 2, 9, 8)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = change(images, _generator(3))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(change(images, _generator(3)), first)
    assert not torch.equal(change(images, _generator(4)), first)
    generator = _generator(3)
    change(images, generator)
    assert not torch.equal(change(images, generator), first)


@changes
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float64])
def test_the_dtype_stays_and_the_batch_given_too(change: Any, dtype: torch.dtype) -> None:
    images = (_numbered(16, 3, 9, 8) % 200 + 1).to(dtype)
    before = images.clone()
    out = change(images, _generator())
    assert out.dtype == dtype
    out.zero_()
    assert torch.equal(images, before)


@changes
def test_empty_batches_and_other_shapes(change: Any) -> None:
    assert len(change(torch.zeros(0, 1, 9, 8), _generator())) == 0
    with pytest.raises(ValueError, match=r"\[B, C, H, W\], got shape \(9, 8\)"):
        change(torch.zeros(9, 8), _generator())


def test_images_are_mirrored_left_for_right_as_often_as_said() -> None:
    images = _numbered(2000, 2, 3, 5)
    out = random_flip(images, probability=0.3, generator=_generator())
    flipped = 0
    for image, result in zip(images, out, strict=True):
        mirrored = torch.tensor([[row[::-1] for row in channel] for channel in image.tolist()])
        assert torch.equal(result, image) or torch.equal(result, mirrored)
        flipped += not torch.equal(result, image)
    assert abs(flipped - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5


def test_probabilities_nought_and_one() -> None:
    images = _numbered(64, 1, 4, 6) + 1
    assert torch.equal(random_flip(images, probability=0, generator=_generator()), images)
    assert torch.equal(random_flip(images, probability=1, generator=_generator()), images.flip(3))
    assert torch.equal(random_erase(images, probability=0, generator=_generator()), images)
    whole = random_erase(
        images, probability=1, area=(1, 1), aspect=(1.5**-1, 1.5**-1), generator=_generator()
    )
    assert not whole.any()


def test_crops_are_windows_of_the_same_image_everywhere_equally_often() -> None:
    images = _numbered(4000, 2, 6, 5)
    out = random_crop(images, (4, 4), generator=_generator())
    assert out.shape == (4000, 2, 4, 4)
    assert out.is_contiguous()
    seen: dict[tuple[int, int], int] = {}
    for n, cut in enumerate(out.tolist()):
        top, left = divmod(cut[0][0][0] - n * 60, 5)
        assert cut == images[n, :, top : top + 4, left : left + 4].tolist()
        seen[top, left] = seen.get((top, left), 0) + 1
    assert sorted(seen) == [(top, left) for top in range(3) for left in range(2)]
    expected = 4000 / 6
    assert max(abs(count - expected) for count in seen.values()) < 5 * expected**0.5


def test_a_crop_of_the_whole_changes_nothing() -> None:
    images = _numbered(3, 3, 6, 5)
    assert torch.equal(random_crop(images, (6, 5), generator=_generator()), images)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(4, 24),
    st.integers(4, 24),
    st.floats(0.05, 0.6),
    st.floats(0.3, 3.0),
    st.integers(0, 999),
)
def test_one_rectangle_of_the_size_asked_for_is_erased(
    height: int, width: int, share: float, ratio: float, seed: int
) -> None:
    images = _numbered(6, 2, height, width) + 1
    out = random_erase(
        images,
        probability=1,
        area=(share, share),
        aspect=(ratio, ratio),
        value=-7,
        generator=_generator(seed),
    )
    pixels = share * height * width
    rows = min(max((pixels * ratio) ** 0.5, 1), height)
    columns = min(max((pixels / ratio) ** 0.5, 1), width)
    for image, result in zip(images, out, strict=True):
        erased = result == -7
        assert torch.equal(result[~erased], image[~erased])
        assert torch.equal(erased[0], erased[1])
        down, right = erased[0].any(1).nonzero()[:, 0], erased[0].any(0).nonzero()[:, 0]
        assert int(erased[0].sum()) == len(down) * len(right)
        assert abs(len(down) - rows) < 0.501  # float32 may see a half on the other side
        assert abs(len(right) - columns) < 0.501
        assert down.tolist() == list(range(int(down[0]), int(down[0]) + len(down)))
        assert right.tolist() == list(range(int(right[0]), int(right[0]) + len(right)))


def test_areas_aspects_and_places_fill_their_ranges() -> None:
    out = random_erase(torch.ones(4000, 1, 100, 100), value=0.0, generator=_generator())
    erased = out[:, 0] == 0
    hit = erased.flatten(1).any(1)
    assert abs(int(hit.sum()) - 2000) < 5 * 1000**0.5
    rows, columns = erased[hit].any(2).sum(1), erased[hit].any(1).sum(1)
    share = (rows * columns) / 10_000
    assert 0.015 < share.min() < 0.03
    assert 0.35 < share.max() < 0.42
    # Where no side was cut, areas are uniform and tall boxes as frequent as wide ones.
    assert abs(share[share < 0.3].mean() - 0.16) < 0.01
    assert abs((rows > columns).float().mean() - 0.5) < 0.06
    assert 0.28 < (rows / columns).min() < 0.4
    middle = erased[hit].double().mean(0)
    torch.testing.assert_close(middle, middle.flip(0), rtol=0, atol=0.08)
    torch.testing.assert_close(middle, middle.flip(1), rtol=0, atol=0.08)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, g: random_flip(x, probability=1.1, generator=g), "0 to 1, got 1.1"),
        (lambda x, g: random_flip(x, probability=float("nan"), generator=g), "got nan"),
        (lambda x, g: random_erase(x, probability=-1, generator=g), "0 to 1, got -1"),
        (lambda x, g: random_erase(x, area=(0.5, 0.4), generator=g), r"got \(0.5, 0.4\)"),
        (lambda x, g: random_erase(x, area=(0.5, 1.4), generator=g), r"got \(0.5, 1.4\)"),
        (lambda x, g: random_erase(x, aspect=(0, 2), generator=g), r"above 0, got \(0, 2\)"),
        (lambda x, g: random_erase(x, aspect=(3, 2), generator=g), r"above 0, got \(3, 2\)"),
        (lambda x, g: random_crop(x, (4, 6), generator=g), r"to \(4, 5\), got \(4, 6\)"),
        (lambda x, g: random_crop(x, (0, 5), generator=g), r"got \(0, 5\)"),
    ],
)
def test_bad_settings(change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        change(torch.zeros(2, 1, 4, 5), _generator())
