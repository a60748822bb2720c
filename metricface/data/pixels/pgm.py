"""Binary grey maps (PGM, the P5 form), also those whose line ends a text tool has rewritten."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(
    rb"P5" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)(?:\r\n|\s)",
)


def read_pgm(path: Path) -> npt.NDArray[np.uint8]:
    r"""One 8-bit binary PGM image.

    A binary file that was once copied as text has a carriage return before every byte 10, pixels
    included, so a plain reader shifts all later pixels: faces come out sheared. Such a file is
    known by its ``\r\n`` header and its surplus bytes, and the copy is undone. Where the original
    held a pixel 13 before a pixel 10 (which the copy left alone) one byte is missing afterwards;
    the pair to leave is the one with which neighbouring rows agree best.

    Args:
        path: the file.

    Returns:
        uint8 ``[H, W]``.

    Raises:
        ValueError: no PGM, not 8 bits deep, or not as many pixels as the header says.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "two.pgm"
        >>> size = file.write_bytes(b"P5 2 1 255\n" + bytes([7, 9]))
        >>> read_pgm(file)
        array([[7, 9]], dtype=uint8)
    """
    data = path.read_bytes()
    header = _HEADER.match(data)
    if header is None:
        raise ValueError(f"{path} is no binary PGM: it starts with {data[:16]!r}")
    width, height, white = (int(number) for number in header.groups())
    if white != 255:
        raise ValueError(f"{path} must hold 8-bit pixels with 255 as white, got {white}")
    pixels = data[header.end() :]
    if b"\r\n" in header.group() and len(pixels) > width * height:
        pixels = _without_added_returns(pixels, width, height)
    if len(pixels) != width * height:
        raise ValueError(f"{path} must hold {height} x {width} pixels, got {len(pixels)}")
    return np.array(_rows(pixels, width))


def _without_added_returns(pixels: bytes, width: int, height: int) -> bytes:
    parts = pixels.split(b"\r\n")
    every = b"\n".join(parts)
    if len(every) != width * height - 1:
        return every
    candidates = (
        b"\n".join(parts[:k]) + b"\r\n" + b"\n".join(parts[k:]) for k in range(1, len(parts))
    )
    return min(candidates, key=lambda candidate: _roughness(candidate, width))


def _roughness(pixels: bytes, width: int) -> int:
    """Sum of the steps between neighbouring rows: a shift of part of an image raises it."""
    steps = np.diff(_rows(pixels, width).astype(np.int64), axis=0)
    return int(np.abs(steps).sum())


def _rows(pixels: bytes, width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(pixels, np.uint8).reshape(-1, width)
