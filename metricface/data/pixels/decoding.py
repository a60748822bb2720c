"""Pixels from the bytes of an image file, by Pillow."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image


class Encoded(Protocol):
    """Where an encoded image lies: a ``Path``, or what reads like one. Its text names the place."""

    def read_bytes(self) -> bytes:
        """The encoded image."""


def read_image(
    path: str | os.PathLike[str] | Encoded,
    *,
    size: tuple[int, int] | None = None,
    colour: bool = False,
) -> npt.NDArray[np.uint8]:
    """The pixels of an image file, upright.

    Args:
        path: a file, or a place in one, in any format that Pillow reads.
        size: height and width to resample to; ``None`` leaves them.
        colour: red, green, blue rather than grey.

    Returns:
        See :func:`decoded`.

    Raises:
        OSError: the file cannot be read.
        ValueError: its content is no whole image; the message begins with the path.
        ImportError: Pillow is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "two.pgm"
        >>> length = file.write_bytes(b"P5 2 1 255 " + bytes([7, 9]))
        >>> read_image(file)
        array([[7, 9]], dtype=uint8)
    """
    place = Path(path) if isinstance(path, str | os.PathLike) else path
    data = place.read_bytes()  # what fails from here on is the content, not the disk
    try:
        return decoded(data, size=size, colour=colour)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error


def decoded(
    data: bytes, *, size: tuple[int, int] | None = None, colour: bool = False
) -> npt.NDArray[np.uint8]:
    """The pixels of an encoded image, upright.

    It is turned as its EXIF orientation says, its transparency is dropped, and of several frames
    the first is taken. Grey is the luma of ITU-R 601, 0.299 R + 0.587 G + 0.114 B; 16-bit grey
    keeps its upper 8 bits. Resampling is bilinear, over as many pixels as shrinking needs;
    proportions are not kept.

    Args:
        data: the bytes of a file in any format that Pillow reads.
        size: height and width to resample to; ``None`` leaves them.
        colour: red, green, blue rather than grey.

    Returns:
        uint8 ``[H, W]``, or ``[H, W, 3]`` in colour.

    Raises:
        ValueError: no image, or a truncated or otherwise damaged one.
        ImportError: Pillow is not installed.

    Example:
        >>> decoded(b"P6 1 1 255 " + bytes([255, 0, 0]), colour=True)
        array([[[255,   0,   0]]], dtype=uint8)
    """
    require_pillow()
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as stored:
            image = _eight_bits(ImageOps.exif_transpose(stored), "RGB" if colour else "L")
            if size is not None:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.array(image)
    except MemoryError:
        raise
    except Exception as error:
        # A damaged file may raise almost anything: OSError, SyntaxError, zlib.error, …
        raise ValueError(f"is no readable image: {_reason(error)}") from error


def require_pillow() -> None:
    """Raise unless Pillow is installed.

    Raises:
        ImportError: it is not.

    Example:
        >>> require_pillow()
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "reading images needs Pillow: pip install 'metricface[images]'", name="PIL"
        ) from error


def _eight_bits(image: Image, mode: str) -> Image:
    from PIL import Image as Images

    if image.mode[0] == "I":
        values = np.asarray(image)
        if values.size and not 0 <= values.min() <= values.max() < 1 << 16:
            raise ValueError("its whole numbers have more than 16 bits")
        image = Images.fromarray((values >> 8).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("its pixels are floating, so what is white is not known")
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the way to RGB that Pillow recommends
    return image.convert(mode)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):  # it names an object in memory
        return "its format is not known"
    return str(error) or type(error).__name__
