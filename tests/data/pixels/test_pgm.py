from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricface.data.pixels.pgm import read_pgm
from tests.oracles.data import copied_as_text

_settings = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_settings
@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_pixels_come_back(tmp_path: Path, height: int, width: int, data: st.DataObject) -> None:
    # Small values: line ends, digits, spaces and '#' among the pixels must not confuse the header.
    size = height * width
    pixels = bytes(data.draw(st.lists(st.integers(0, 60), min_size=size, max_size=size)))
    file = tmp_path / "image.pgm"
    file.write_bytes(b"P5\n# a comment, 3 4\n%d %d\n255\n" % (width, height) + pixels)
    image = read_pgm(file)
    assert image.shape == (height, width)
    assert image.tobytes() == pixels


@_settings
@given(st.lists(st.sampled_from([0, 10, 12, 14, 200]), min_size=20, max_size=20))
def test_a_copy_as_text_is_undone(tmp_path: Path, values: list[int]) -> None:
    file = tmp_path / "image.pgm"
    file.write_bytes(copied_as_text(b"P5\n5 4\n255\n" + bytes(values)))
    assert read_pgm(file).tobytes() == bytes(values)


@pytest.mark.parametrize("row", [0, 3, 7])
def test_a_pair_that_was_in_the_picture_stays(tmp_path: Path, row: int) -> None:
    picture = np.tile(np.arange(0, 200, 20, dtype=np.uint8), (8, 1))
    picture[:, 4] = 10  # a line feed in each row, with one true carriage return before it
    picture[row, 3] = 13
    file = tmp_path / "image.pgm"
    file.write_bytes(copied_as_text(b"P5\n10 8\n255\n" + picture.tobytes()))
    np.testing.assert_array_equal(read_pgm(file), picture)


def test_a_header_with_returns_alone_changes_no_pixel(tmp_path: Path) -> None:
    pixels = bytes([13, 10, 13, 10, 5, 6])
    file = tmp_path / "image.pgm"
    file.write_bytes(b"P5\r\n3 2\r\n255\r\n" + pixels)
    assert read_pgm(file).tobytes() == pixels


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no binary PGM"),
        (b"P2\n2 1\n255\n1 2\n", "no binary PGM"),
        (b"P5\n2 x\n255\n12", "no binary PGM"),
        (b"P5\n2 1\n15\n12", "255 as white, got 15"),
        (b"P5\n2 2\n255\n123", "2 x 2 pixels, got 3"),
        (b"P5\n2 1\n255\n123", "1 x 2 pixels, got 3"),
        (b"P5\r\n2 1\r\n255\r\n12345\r\n", "1 x 2 pixels, got 6"),
    ],
)
def test_damage_is_an_error(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "image.pgm"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_pgm(file)
