"""The typefaces in font files: what they are called and which characters they hold."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from metricface.data.sets.applied import applied
from metricface.data.sets.archive import read_arrays, write_arrays

Fonts: TypeAlias = "Iterable[str | os.PathLike[str]] | None"

_ENDINGS = (".ttf", ".otf", ".ttc")
_ARRAYS = ("files", "indices", "names", "families", "digests", "held")
_VERSION = 1  # raise it when what is read below changes


class Typefaces(NamedTuple):
    """``F`` typefaces and which of ``C`` wanted characters each holds."""

    files: npt.NDArray[np.str_]
    """Paths ``[F]``; a collection is the file of several typefaces."""
    indices: npt.NDArray[np.int64]
    """Place of each in its file."""
    names: npt.NDArray[np.str_]
    """Family and style, as the file says."""
    families: npt.NDArray[np.str_]
    digests: npt.NDArray[np.str_]
    """Of the files' bytes."""
    held: npt.NDArray[np.bool_]
    """``[F, C]``: a glyph of its own, not the one for missing characters."""

    def take(self, places: npt.NDArray[np.int64]) -> Typefaces:
        """Those at some places, in that order."""
        return Typefaces(
            self.files[places],
            self.indices[places],
            self.names[places],
            self.families[places],
            self.digests[places],
            self.held[places],
        )


class _Read(NamedTuple):
    """A typeface as it is read from its file."""

    file: str
    number: int
    name: str
    family: str
    digest: str
    held: npt.NDArray[np.bool_]


def font_files(fonts: Fonts) -> list[Path]:
    """Font files in the order of their paths: those given, or all that are installed.

    Args:
        fonts: files, and folders that are searched to any depth; ``None`` asks matplotlib, which
            asks fontconfig and looks where the system keeps fonts.

    Raises:
        ImportError: nothing is given and matplotlib is not installed.
        FileNotFoundError: there is no such file or folder.

    Example:
        >>> font_files([])
        []
    """
    if fonts is None:
        return sorted(map(Path, _installed()))
    found = set()
    for place in map(Path, [fonts] if isinstance(fonts, str | os.PathLike) else fonts):
        if not place.expanduser().exists():
            raise FileNotFoundError(f"there is no font file or folder {place}")
        inside = place.expanduser().rglob("*") if place.expanduser().is_dir() else None
        if inside is None:
            found.add(place.expanduser())
        else:
            found.update(file for file in inside if file.suffix.lower() in _ENDINGS)
    return sorted(found)


def read_typefaces(
    files: list[Path], wanted: npt.NDArray[np.int64], *, workers: int, cache: Path
) -> Typefaces:
    """The typefaces of some files that hold at least one of the wanted characters.

    What was read is kept in the cache for as long as paths, sizes and times of the files stay:
    hundreds of fonts are gigabytes, and reading them takes seconds. Files that are no fonts, and
    copies of other files, byte for byte, have no typeface here.

    Args:
        files: font files.
        wanted: code points ``[C]``.
        workers: processes that read; 0 reads here.
        cache: folder of what was read.

    Returns:
        Most characters first, then by name; where the files lie does not matter.

    Raises:
        ImportError: fontTools is not installed.
    """
    seen = [(str(file), stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()]]
    said = repr((_VERSION, seen)).encode() + wanted.tobytes()
    kept = cache / f"typefaces-{hashlib.sha256(said).hexdigest()[:16]}.npz"
    arrays = read_arrays(kept, _ARRAYS)
    if arrays is None:
        arrays = _arrays(_read(files, wanted, workers), len(wanted))
        write_arrays(kept, arrays)
    return Typefaces(**arrays)


def _installed() -> list[str]:
    try:
        from matplotlib.font_manager import findSystemFonts
    except ImportError as error:
        raise ImportError(
            "without fonts=[...], matplotlib finds the fonts: pip install 'metricface[plots]'",
            name="matplotlib",
        ) from error
    return findSystemFonts()


def _read(files: list[Path], wanted: npt.NDArray[np.int64], workers: int) -> list[_Read]:
    try:
        import fontTools  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "fontTools tells which characters a typeface holds: pip install fonttools",
            name="fontTools",
        ) from error
    read: dict[tuple[str, int], _Read] = {}
    work = partial(_typefaces_of, wanted=wanted)
    for of_file in applied(work, files, workers=workers, what="reading fonts"):
        for face in of_file:
            read.setdefault((face.digest, face.number), face)
    return sorted(
        read.values(), key=lambda face: (-face.held.sum(), face.name, face.digest, face.number)
    )


def _arrays(read: list[_Read], count: int) -> dict[str, npt.NDArray[np.generic]]:
    held = np.array([face.held for face in read], np.bool_).reshape(-1, count)
    return {
        "files": np.array([face.file for face in read], np.str_),
        "indices": np.array([face.number for face in read], np.int64),
        "names": np.array([face.name for face in read], np.str_),
        "families": np.array([face.family for face in read], np.str_),
        "digests": np.array([face.digest for face in read], np.str_),
        "held": held,
    }


def _typefaces_of(file: Path, wanted: npt.NDArray[np.int64]) -> list[_Read]:
    """The typefaces of one file that hold a wanted character; none of what is no font."""
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.CRITICAL)  # it tells of every odd table
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    found = []
    for index in range(_count(content)):
        try:
            with TTFont(BytesIO(content), fontNumber=index, lazy=True) as font:
                glyphs = int(font["maxp"].numGlyphs)
                # Only the first name counts here. To look up the others would take longer.
                font.setGlyphOrder([".notdef", *(f"{n}" for n in range(1, glyphs))])
                cmap = font["cmap"].getBestCmap() or {}
                names = font["name"]
                family = names.getDebugName(16) or names.getDebugName(1) or file.stem
                style = names.getDebugName(17) or names.getDebugName(2) or ""
        except Exception:
            continue  # a damaged font may raise almost anything
        held = np.array([cmap.get(code, ".notdef") != ".notdef" for code in wanted.tolist()])
        if held.any():
            name = f"{family} {style}".strip()
            found.append(_Read(str(file), index, name, family, digest, held))
    return found


def _count(content: bytes) -> int:
    """How many typefaces a file says it has: a collection has several."""
    if content[:4] != b"ttcf":
        return 1
    count = int.from_bytes(content[8:12], "big")
    return count if 12 + 4 * count <= len(content) else 0  # damaged: each has a place of 4 bytes
