"""Typefaces of a few characters, each a pattern of squares, made where a test runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, newTable
from fontTools.ttLib.tables.ttProgram import Program

CELLS, CELL = 5, 200


def pattern(character: str, design: int) -> npt.NDArray[np.bool_]:
    """Squares ``[5, 5]``: those of the character, a fifth of them changed by the design."""
    cells = np.random.default_rng(ord(character)).random((CELLS, CELLS)) < 0.5
    changed = np.random.default_rng((design, ord(character))).random(cells.shape) < 0.2 * (
        design > 0
    )
    found: npt.NDArray[np.bool_] = cells ^ changed
    found[0, 0] = found[-1, -1] = True  # so that each fills its square
    return found


def make_font(
    file: Path,
    characters: str,
    *,
    design: int,
    family: str,
    style: str = "Regular",
    boxes: str = "",
    empty: str = "",
    failing: bool = False,
    alike: str = "",
) -> Path:
    """A TrueType file.

    Args:
        file: written.
        characters: that it draws as :func:`pattern` has them.
        design: whose changes to the patterns; equal designs are drawn alike.
        family: its name.
        style: the style's name.
        boxes: characters that its character map says are missing: they have the first glyph.
        empty: characters without ink.
        failing: nothing can be drawn, because no rasteriser can execute what comes first.
        alike: those of the characters that are drawn as the first of them.
    """
    font = _font(characters + boxes + empty, design, family, style, empty, alike)
    if boxes:
        for table in font["cmap"].tables:
            table.cmap.update(dict.fromkeys(map(ord, boxes), ".notdef"))
    if failing:
        font["fpgm"] = newTable("fpgm")
        font["fpgm"].program = Program()
        font["fpgm"].program.fromBytecode(b"\x28")  # no instruction has this number
    font.save(file)
    return file


def make_collection(file: Path, fonts: list[Path]) -> Path:
    """One file of several typefaces."""
    collection = TTCollection()
    collection.fonts = [TTFont(font) for font in fonts]
    collection.save(file)
    return file


def _font(characters: str, design: int, family: str, style: str, empty: str, alike: str) -> TTFont:
    names = [f"u{ord(character):05X}" for character in characters]
    builder = FontBuilder(CELLS * CELL, isTTF=True)
    order = [".notdef", *names]
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(dict(zip(map(ord, characters), names, strict=True)))
    box = np.ones((CELLS, CELLS), bool)
    box[1:-1, 1:-1] = False
    glyphs = {".notdef": _glyph(box)}
    for character, name in zip(characters, names, strict=True):
        cells = pattern(alike[0] if character in alike else character, design)
        glyphs[name] = _glyph(cells & (character not in empty))
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(order, (CELLS * CELL, 0)))
    builder.setupHorizontalHeader(ascent=CELLS * CELL, descent=0)
    builder.setupNameTable({"familyName": family, "styleName": style})
    builder.setupOS2(sTypoAscender=CELLS * CELL, usWinAscent=CELLS * CELL)
    builder.setupPost()
    font: TTFont = builder.font
    return font


def _glyph(cells: npt.NDArray[np.bool_]) -> object:
    pen = TTGlyphPen(None)
    for row, column in np.argwhere(cells).tolist():
        x, y = CELL * column, CELL * (CELLS - 1 - row)
        pen.moveTo((x, y))
        for corner in ((x, y + CELL), (x + CELL, y + CELL), (x + CELL, y)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()
