"""Characters in twelve typefaces: over a thousand identities wherever matplotlib is installed."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metricface.data.images.image_set import ImageSet
from metricface.data.sets.archive import read_arrays, write_arrays
from metricface.data.sets.cache_folder import cache_folder
from metricface.data.sets.distinct import distinct
from metricface.data.sets.ink import fitted
from metricface.progress import with_progress

# The two further DejaVu files that matplotlib ships, the Display cuts, hold a few dozen
# characters each and belong to no text family.
_FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, slanted in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", f"-{slanted}", "-Bold", f"-Bold{slanted}")
)
_CATEGORIES = "LNS"  # letters, numbers, symbols
_OVERSAMPLING = 4  # em square drawn, in output sizes
_THRESHOLD = 0.15  # root mean square pixel distance up to which two characters look alike
_VERSION = 1  # raise it when the drawing below changes


def glyphs(*, size: int = 28, cache: str | os.PathLike[str] | None = None) -> ImageSet:
    """Letters, numbers and symbols, each in the twelve DejaVu faces that matplotlib ships.

    A character is an identity and its faces (sans, mono, serif; upright, slanted, bold, bold
    slanted, in this order) are its 12 images. Each is cropped to its ink and fitted, centred and
    in proportion, into the square, white on black. Size and height on the line are lost by that,
    and characters that then look like an earlier one are left out: of A, Greek Alpha and Cyrillic
    A, or of ¹ and ₁, the first alone stays (see :func:`metricface.data.sets.distinct.distinct`).

    Faces differ little for symbols and not at all for much of the box drawing, so about 500
    identities have equal images among their 12, and some rare images belong to two identities.
    Identities are in code point order. They are drawn once, in seconds, and kept in a file whose
    name carries a hash of everything that made it.

    Args:
        size: height and width in pixels, at least 1; the number of identities depends on it.
        cache: folder of the kept file; ``None`` takes ``$METRICFACE_CACHE``, or else
            ``~/.cache/metricface``.

    Returns:
        About 1,700 identities, 12 images of each, in identity order; the name of an identity is
        the character and its code point.

    Raises:
        ImportError: matplotlib is not installed.
        FileNotFoundError: the installed matplotlib lacks one of the faces.
        ValueError: size below 1.
        OSError: the cache folder cannot be written.

    Example:
        >>> characters = glyphs()
        >>> len(characters) == 12 * len(characters.names)
        True
        >>> [name for name in characters.names if name[0] in "AΑ"]
        ['A U+0041']
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    faces = _face_files()
    path = cache_folder(cache) / f"glyphs-{size}-{_fingerprint(faces, size)}.npz"
    arrays = read_arrays(path, ("images", "codepoints"))
    if arrays is None:
        drawn, codepoints = _drawn(faces, size)
        kept = distinct(drawn, _THRESHOLD)
        arrays = {"images": drawn[kept], "codepoints": codepoints[kept]}
        write_arrays(path, arrays)
    names = tuple(f"{chr(code)} U+{code:04X}" for code in arrays["codepoints"].tolist())
    labels = np.repeat(np.arange(len(names), dtype=np.int64), len(_FACES))
    return ImageSet(arrays["images"].reshape(-1, size, size), labels, names)


def _face_files() -> list[Path]:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "glyphs needs matplotlib, which ships the typefaces: pip install matplotlib",
            name="matplotlib",
        ) from error
    files = [Path(matplotlib.get_data_path(), "fonts", "ttf", face) for face in _FACES]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"matplotlib lacks the typeface {file}: pip install --force-reinstall matplotlib"
            )
    return files


def _fingerprint(faces: Iterable[Path], size: int) -> str:
    """Hash of everything that decides the pixels, including the versions of libraries."""
    from PIL import features

    settings = (_VERSION, size, _CATEGORIES, _OVERSAMPLING, _THRESHOLD)
    tools = (features.version("freetype2"), unicodedata.unidata_version)
    digest = hashlib.sha256(repr((settings, tools)).encode())
    for face in faces:
        digest.update(hashlib.sha256(face.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _shared_codepoints(faces: Iterable[Path]) -> list[int]:
    """Code points of the wanted categories that every face can draw, increasing."""
    from matplotlib.ft2font import FT2Font

    shared = set.intersection(*(set(FT2Font(str(face)).get_charmap()) for face in faces))
    return sorted(code for code in shared if unicodedata.category(chr(code))[0] in _CATEGORIES)


def _drawn(faces: list[Path], size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images ``[C, 12, size, size]`` of the characters with ink in every face; code points."""
    from PIL import ImageFont

    codepoints = np.array(_shared_codepoints(faces), dtype=np.int64)
    images = np.zeros((len(codepoints), len(faces), size, size), np.uint8)
    for j, face in enumerate(with_progress(faces, "drawing glyphs", shown=None)):
        # The basic layout draws exactly the glyph asked for, even with a shaping engine installed.
        font = ImageFont.truetype(
            str(face), _OVERSAMPLING * size, layout_engine=ImageFont.Layout.BASIC
        )
        for i, code in enumerate(codepoints.tolist()):
            images[i, j] = fitted(font, chr(code), size)
    inked = (images.max(axis=(2, 3)) > 0).all(axis=1)
    return images[inked], codepoints[inked]
