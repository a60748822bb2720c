from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from metricface.data.pixels.decoding import decoded, read_image
from tests.oracles import data as oracle

_RNG = np.random.default_rng(0)
_GREY = _RNG.integers(0, 256, (7, 9), np.uint8)
_COLOUR = _RNG.integers(0, 256, (7, 9, 3), np.uint8)


def encoded(image: Image.Image | npt.NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, kind, **options)
    return file.getvalue()


def _smooth() -> npt.NDArray[np.uint8]:
    row, column = np.mgrid[:48, :64]
    waves = [np.sin(row / 5 + shift) + np.cos(column / 7 - shift) for shift in (0.0, 0.5, 1.0)]
    return (127 + 60 * np.stack(waves, axis=2)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_pixels(kind: str) -> None:
    np.testing.assert_array_equal(decoded(encoded(_GREY, kind)), _GREY)
    np.testing.assert_array_equal(decoded(encoded(_COLOUR, kind), colour=True), _COLOUR)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_give_them_nearly(kind: str) -> None:
    pixels = decoded(encoded(_smooth(), kind, quality=95), colour=True)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - _smooth()).mean() < 3


def test_grey_is_the_luma_and_grey_in_colour_is_three_times_the_same() -> None:
    grey = decoded(encoded(_COLOUR))
    for (i, j), value in np.ndenumerate(grey):
        assert abs(int(value) - oracle.luma(*_COLOUR[i, j].tolist())) <= 0.51
    triple = decoded(encoded(_GREY), colour=True)
    np.testing.assert_array_equal(triple, np.repeat(_GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("size", [(3, 4), (7, 2), (14, 20), (7, 9)])
def test_resampling_covers_all_pixels(size: tuple[int, int]) -> None:
    expected = oracle.triangle(_GREY.tolist(), *size, widened=True)
    result = decoded(encoded(_GREY), size=size)
    # Pillow rounds between the two directions.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1.01)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_exif_orientation_is_respected(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters = np.kron(np.array([[0, 80, 160], [40, 120, 250]], np.uint8), np.ones((8, 8)))
    stored = quarters.astype(np.uint8)
    result = decoded(encoded(stored, kind, exif=exif))
    expected = np.array(oracle.upright(stored.tolist(), orientation))
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=0 if kind == "PNG" else 12)


def test_an_orientation_swaps_height_and_width_before_the_size_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decoded(encoded(_GREY, exif=exif), size=(9, 7)).tolist() == oracle.upright(
        _GREY.tolist(), 6
    )


def test_transparency_is_dropped() -> None:
    alpha = _RNG.integers(0, 256, (7, 9, 1), np.uint8)
    data = encoded(np.concatenate([_COLOUR, alpha], axis=2))
    np.testing.assert_array_equal(decoded(data, colour=True), _COLOUR)


def test_palettes_are_looked_up_also_with_transparent_entries() -> None:
    palette = Image.frombytes("P", (2, 2), bytes([0, 1, 2, 0]))
    palette.putpalette([10, 20, 30, 200, 100, 50, 7, 8, 9])
    data = encoded(palette, transparency=b"\x00\xff\x80")
    expected = [[[10, 20, 30], [200, 100, 50]], [[7, 8, 9], [10, 20, 30]]]
    assert decoded(data, colour=True).tolist() == expected


def test_sixteen_bits_keep_the_upper_eight() -> None:
    deep = np.array([[0, 255, 256], [0x1234, 0x7FFF, 0xFFFF]], np.uint16)
    expected = [[0, 0, 1], [0x12, 0x7F, 0xFF]]
    for data in (encoded(deep, "PNG"), encoded(deep, "TIFF")):
        assert decoded(data).tolist() == expected
        assert decoded(data, colour=True)[..., 1].tolist() == expected
    portable = b"P5 3 2 65535 " + deep.astype(">u2").tobytes()
    assert decoded(portable).tolist() == expected


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.ones((2, 2), np.float32), "floating"),
        (np.full((2, 2), 1 << 20, np.int32), "more than 16 bits"),
    ],
)
def test_pixels_without_a_known_white_are_refused(pixels: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"no readable image: .*{words}"):
        decoded(encoded(pixels, "TIFF"))


def test_of_several_frames_the_first_is_taken() -> None:
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert decoded(data).tolist() == [[10] * 4] * 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded(_smooth(), "JPEG")[:-400], "truncated"),
        (encoded(_smooth(), "PNG")[:-400], "truncated"),
        (b"<html>no such image</html>", "format is not known"),
        (b"", "format is not known"),
        (b"P5 9 9 255 ", "."),
    ],
)
def test_broken_files_are_named_with_the_reason(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "face.jpg"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"face\.jpg is no readable image: .*{words}"):
        read_image(file)


_WHOLE = [encoded(_smooth(), kind) for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP")]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damage_gives_an_image_or_that_error_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(_WHOLE), label="file"))
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="length")]
    for _ in range(data.draw(st.integers(1, 4), label="flips")):
        if content:
            # Most of what can go wrong is told in the first bytes.
            last = data.draw(st.sampled_from([min(60, len(content)), len(content)])) - 1
            content[data.draw(st.integers(0, last))] ^= data.draw(st.integers(1, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what it can make sense of all the same
        try:
            image = decoded(bytes(content), size=(5, 6), colour=True)
        except ValueError as error:
            assert str(error).startswith("is no readable image: ")  # noqa: PT017
        else:
            assert (image.dtype, image.shape) == (np.dtype(np.uint8), (5, 6, 3))


def test_a_bomb_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(ValueError, match="no readable image: Image size"):
        decoded(encoded(_GREY))


def test_an_absent_file_is_not_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)


def test_without_pillow_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError) as caught:
        decoded(b"")
    assert str(caught.value) == "reading images needs Pillow: pip install 'metricface[images]'"
