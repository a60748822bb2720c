"""Characters as pictures of their ink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_IN_NO_FONT = "\U0010ffff"  # never a character


def fitted(font: FreeTypeFont, character: str, size: int) -> npt.NDArray[np.uint8]:
    """The character's ink in the middle of a square that it fills; black where it has none.

    Args:
        font: large enough to be shrunk to the size.
        character: to draw.
        size: height and width in pixels.

    Returns:
        uint8 ``[size, size]``, white on black, in proportion.

    Raises:
        OSError: the font cannot draw it.

    Example:
        >>> from matplotlib import get_data_path
        >>> from PIL import ImageFont
        >>> file = f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"
        >>> (fitted(ImageFont.truetype(file, 32), "-", 4) > 0).any(axis=0).tolist()
        [True, True, True, True]
    """
    from PIL import Image, ImageDraw

    left, top, right, bottom = (int(edge) for edge in font.getbbox(character))
    canvas = Image.new("L", (max(right - left, 1) + 2, max(bottom - top, 1) + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), character, fill=255, font=font)
    box = canvas.getbbox()
    if box is None:
        return np.zeros((size, size), np.uint8)
    ink = canvas.crop(box)
    side = max(ink.size)
    square = Image.new("L", (side, side))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return np.asarray(square.resize((size, size), Image.Resampling.BOX))


def drawn_by(
    file: str, index: int, codes: Sequence[int], size: int, oversampling: int
) -> npt.NDArray[np.uint8]:
    """Characters in one typeface; black where it has no ink, or cannot draw, or draws a box.

    Args:
        file: of the font.
        index: of the typeface in its file.
        codes: code points ``[C]``.
        size: height and width in pixels.
        oversampling: height of the em square drawn, in sizes.

    Returns:
        uint8 ``[C, size, size]``.

    Raises:
        ImportError: Pillow is not installed.

    Example:
        >>> drawn_by("no such font.ttf", 0, [65], 4, 4).any()
        np.False_
    """
    try:
        from PIL import ImageFont
    except ImportError as error:
        raise ImportError(
            "drawing characters needs Pillow: pip install 'metricface[images]'", name="PIL"
        ) from error
    images = np.zeros((len(codes), size, size), np.uint8)
    try:
        # The basic layout draws exactly the glyph asked for, even with a shaping engine installed.
        font = ImageFont.truetype(
            file, oversampling * size, index, layout_engine=ImageFont.Layout.BASIC
        )
        missing = fitted(font, _IN_NO_FONT, size)
    except OSError:
        return images
    for image, code in zip(images, codes, strict=True):
        try:
            image[:] = fitted(font, chr(code), size)
        except OSError:  # a damaged glyph
            continue
        if np.array_equal(image, missing):  # some fonts give what they lack a box all the same
            image[:] = 0
    return images
