"""Chinese characters in the typefaces that are installed: thousands of identities, many designs."""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from metricface.data.images.typeface_set import TypefaceSet
from metricface.data.sets.applied import applied
from metricface.data.sets.archive import read_arrays, write_arrays
from metricface.data.sets.cache_folder import cache_folder
from metricface.data.sets.ink import drawn_by
from metricface.data.sets.resemblance import (
    FEWEST,
    families,
    has_ink,
    look_alikes,
    typeface_distances,
)
from metricface.data.sets.typefaces import Fonts, Typefaces, font_files, read_typefaces
from metricface.files import clear_leftovers, used_alone, write_whole

Characters: TypeAlias = "Literal['jis', 'gb2312', 'both'] | Iterable[str]"

_PACKAGES = (
    "aoyagi-kouzan-t aoyagi-soseki arphic-bsmi00lp arphic-ukai babelstone-han baekmuk "
    "cns11643-kai cns11643-sung cwtex-fs cwtex-heib cwtex-ming cwtex-yen dejima-mincho "
    "dotgothic16 hanazono horai-umefont ipaexfont-gothic ipamj-mincho kanjistrokeorders kiloji "
    "komatuna kouzan-mouhitsu lxgw-wenkai migmix misaki mmcedar mona morisawa-bizud-gothic "
    "morisawa-bizud-mincho mplus nanum noto-cjk noto-cjk-extra oradano-mincho-gsrr rampart "
    "reggae ricty-diminished sawarabi-gothic sawarabi-mincho seto smiley-sans train "
    "unfonts-core vlgothic wqy-microhei wqy-zenhei yozvox-yozfont-antique"
)
INSTALL = " ".join(["apt-get install", *(f"fonts-{name}" for name in _PACKAGES.split())])
"""What to type on Debian or Ubuntu: the packages of the published set."""

COPY, RELATED, LOOK_ALIKE = 0.15, 0.20, 0.15
"""Distances up to which typefaces are copies, or of one family, and characters look alike."""

_OVERSAMPLING = 4  # em square drawn, in output sizes
_SAMPLE = 128  # characters by which typefaces are compared
_VERSION = 1  # raise it when the drawing changes
_ROWS = {"jis": ("euc_jp", range(16, 85)), "gb2312": ("gb2312", range(16, 88))}
_ARRAYS = ("codepoints", "labels", "typefaces", "names", "families")
_BLOCK = 4096  # images copied at a time
_WAIT = 0.5  # seconds between looks at what another process is drawing


def han(
    *,
    characters: Characters = "both",
    size: int = 32,
    at_least: int = 10,
    fonts: Fonts = None,
    workers: int = 0,
    cache: str | os.PathLike[str] | None = None,
) -> TypefaceSet:
    """Chinese characters, each in the typefaces that are installed.

    A character is an identity, and the typefaces that hold it give its images: mincho and song,
    gothic and hei, kai, brush and handwriting. Each is cropped to its ink and fitted, centred and
    in proportion, into the square, white on black.

    A typeface is asked which characters it holds before it draws, so none is a box. Left out are

    - typefaces that draw as an earlier one does: the median over 128 characters of the root mean
      square difference of pixels is at most 0.15 (white is 1). Those that hold more characters
      come first. Regional forms, renamed copies and neighbouring weights go by that;
    - characters of which fewer than ``at_least`` typefaces remain;
    - characters that look like an earlier one, by at most 0.15 over all typefaces that hold both;
    - what a font cannot draw, as some are damaged, and typefaces that draw fewer than 8 of the 128.

    ``.typefaces`` tells the typeface of each image and ``.families`` its design: typefaces that
    share a family's name, or are within 0.20, be it by way of others, have one number. Two sides
    can be held out: characters, and characters in designs never seen (see the example).

    The images are drawn once, in minutes, and kept in a folder whose name carries a hash of the
    fonts and settings; ``typefaces.csv`` in it lists what was taken and left out, and why. They
    are mapped from there, so they need no memory.

    Args:
        characters: ``"jis"``, the 6,355 kanji of JIS X 0208; ``"gb2312"``, the 6,763 hanzi of
            GB 2312; ``"both"``, the 9,788 of either; or single characters of any script.
        size: height and width in pixels, at least 1.
        at_least: typefaces a character must have, at least 1.
        fonts: files, and folders that are searched; ``None`` takes the fonts that are installed.
        workers: processes that read and draw; 0 does it here.
        cache: folder of what is kept; ``None`` takes ``$METRICFACE_CACHE``, or else
            ``~/.cache/metricface``.

    Returns:
        The images in the order of characters, and of typefaces within a character; the name of an
        identity is the character and its code point.

    Raises:
        ImportError: Pillow, fontTools or matplotlib is not installed.
        FileNotFoundError: too few typefaces hold such characters; the error says what to install.
            Or one of the fonts given is not there.
        TypeError: characters that are not single characters.
        ValueError: another name of a set of characters, or a number below 1.
        OSError: the cache folder cannot be written.

    Example:
        >>> from metricface.data import identity_split
        >>> kanji = han(characters="jis")  # doctest: +SKIP
        >>> train, _, test = identity_split(kanji.labels)  # doctest: +SKIP
        >>> seen, unseen = identity_split(kanji.families, (0.8, 0.2))  # doctest: +SKIP
        >>> learned = kanji.subset(np.intersect1d(train, seen))  # doctest: +SKIP
        >>> both_unseen = kanji.subset(np.intersect1d(test, unseen))  # doctest: +SKIP
    """
    for name, number in (("size", size), ("at_least", at_least)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    codes = _codepoints(characters)
    kept = cache_folder(cache)
    found = read_typefaces(font_files(fonts), codes, workers=workers, cache=kept)
    if int(found.held.sum(axis=0).max(initial=0)) < at_least:
        raise FileNotFoundError(_too_few(found, at_least))
    plan = _Plan(codes, size, at_least, workers)
    folder = kept / f"han-{size}-{_fingerprint(found, plan)}"
    while (data := _opened(folder, size)) is None:
        try:
            with used_alone(folder) as certain:
                if certain:
                    clear_leftovers(folder)
                if _opened(folder, size) is None:
                    _draw(found, plan, folder)
        except BlockingIOError:  # another process draws the same
            time.sleep(_WAIT)
    return data


class _Plan(NamedTuple):
    """What is drawn of the typefaces."""

    codes: npt.NDArray[np.int64]
    size: int
    at_least: int
    workers: int


class _Picture(NamedTuple):
    """A typeface and the characters it is to draw."""

    file: str
    number: int
    codes: tuple[int, ...]


def _codepoints(characters: Characters) -> npt.NDArray[np.int64]:
    """Code points of the characters that are wanted, increasing."""
    if isinstance(characters, str):
        if characters not in (*_ROWS, "both"):
            raise ValueError(
                "characters must be 'jis', 'gb2312', 'both' or a list of single characters, got "
                f"{characters!r}"
            )
        standards = tuple(_ROWS) if characters == "both" else (characters,)
        chosen = {character for name in standards for character in _standard(name)}
    else:
        chosen = set(characters)
    for character in chosen:
        if not isinstance(character, str) or len(character) != 1:
            raise TypeError(f"characters must be single characters, got {character!r}")
    if not chosen:
        raise ValueError("characters must name at least one character, got none")
    return np.array(sorted(map(ord, chosen)), np.int64)


def _standard(name: str) -> Iterable[str]:
    """The characters of a table of 94 cells a row, as a codec of Python has it."""
    codec, rows = _ROWS[name]
    for row in rows:
        for cell in range(1, 95):
            character = bytes((0xA0 + row, 0xA0 + cell)).decode(codec, errors="ignore")
            if len(character) == 1:
                yield character


def _too_few(found: Typefaces, at_least: int) -> str:
    most = int(found.held.sum(axis=0).max(initial=0))
    return (
        f"han needs characters that {at_least} typefaces or more hold, and no character is in "
        f"more than {most} that are usable here. On Debian or Ubuntu, install some and call "
        f"again:\n{INSTALL}"
    )


def _fingerprint(found: Typefaces, plan: _Plan) -> str:
    """Hash of everything that decides the pixels; neither paths nor times are in it."""
    from PIL import features

    settings = (_VERSION, plan.size, plan.at_least, _OVERSAMPLING, _SAMPLE)
    limits = (COPY, RELATED, LOOK_ALIKE, features.version("freetype2"))
    digest = hashlib.sha256(repr((settings, limits)).encode() + plan.codes.tobytes())
    for face in zip(found.digests.tolist(), found.indices.tolist(), strict=True):
        digest.update(repr(face).encode())
    return digest.hexdigest()[:16]


def _opened(folder: Path, size: int) -> TypefaceSet | None:
    """What is kept in a folder; ``None`` where it is absent or damaged."""
    arrays = read_arrays(folder / "index.npz", _ARRAYS)
    if arrays is None:
        return None
    labels = arrays["labels"]
    try:
        images = np.lib.format.open_memmap(folder / "images.npy", mode="r")
    except (OSError, ValueError):
        return None
    if images.shape != (len(labels), size, size) or images.dtype != np.uint8:
        return None
    names = tuple(f"{chr(code)} U+{code:04X}" for code in arrays["codepoints"].tolist())
    typefaces = arrays["typefaces"]
    called = tuple(arrays["names"].tolist())
    return TypefaceSet(images, labels, names, typefaces, called, arrays["families"][typefaces])


def _draw(found: Typefaces, plan: _Plan, folder: Path) -> None:
    """Draw what is wanted and write the folder, its index last."""
    chosen, family, reasons = _distinct_typefaces(found, plan)
    faces, count = found.take(chosen), len(plan.codes)
    shape = (len(chosen), count, plan.size, plan.size)
    # The file has no name where the system allows it, so that a killed call leaves none.
    with tempfile.TemporaryFile(dir=folder, prefix=".drawn.", suffix=".partial") as scratch:
        drawn = np.memmap(scratch, np.uint8, "w+", shape=shape)
        _fill(drawn, faces, np.arange(count), plan, "drawing typefaces")
        inked = has_ink(drawn)
        enough = np.flatnonzero(inked.sum(axis=0) >= plan.at_least)
        if not len(enough):
            raise FileNotFoundError(_too_few(faces._replace(held=inked), plan.at_least))
        kept = enough[~look_alikes(drawn, enough, LOOK_ALIKE)]
        label, typeface = np.nonzero(inked[:, kept].T)
        met, number = np.unique(typeface, return_inverse=True)

        def fill(part: Path) -> None:
            rows = (len(label), plan.size, plan.size)
            images = np.lib.format.open_memmap(part, "w+", np.uint8, rows)
            for start in range(0, len(images), _BLOCK):
                some = slice(start, start + _BLOCK)
                images[some] = drawn[typeface[some], kept[label[some]]]
            images.flush()

        write_whole(folder / "images.npy", fill)
    _list(found, reasons, folder)
    arrays = {
        "codepoints": plan.codes[kept],
        "labels": label.astype(np.int64),
        "typefaces": number.astype(np.int64),
        "names": faces.names[met],
        "families": np.unique(family[met], return_inverse=True)[1].astype(np.int64),
    }
    write_arrays(folder / "index.npz", arrays)


def _distinct_typefaces(
    found: Typefaces, plan: _Plan
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
    """The places of typefaces to take, their families, and what becomes of each that was found."""
    count = len(plan.codes)
    sample = np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).round().astype(np.int64))
    drawn = np.zeros((len(found.names), len(sample), plan.size, plan.size), np.uint8)
    _fill(drawn, found, sample, plan, "comparing typefaces")
    apart = typeface_distances(drawn)
    family = families(apart, found.families, RELATED)
    kept: list[int] = []
    reasons = []
    fewest = min(FEWEST, len(sample))
    for face, inked in enumerate(has_ink(drawn).sum(axis=1).tolist()):
        like = [other for other in kept if apart[face, other] <= COPY]
        if like:
            reasons.append(f"like {found.names[like[0]]}")
        elif inked < fewest:
            reasons.append(f"draws {inked} of the {len(sample)} characters that are compared")
        else:
            reasons.append("taken")
            kept.append(face)
    places = np.array(kept, np.int64)
    return places, family[places], reasons


def _fill(
    drawn: npt.NDArray[np.uint8],
    faces: Typefaces,
    columns: npt.NDArray[np.int64],
    plan: _Plan,
    what: str,
) -> None:
    """Draw some of the characters in every typeface that holds them."""
    held = faces.held[:, columns]
    pictures = [
        _Picture(file, index, tuple(plan.codes[columns[has]].tolist()))
        for file, index, has in zip(faces.files.tolist(), faces.indices.tolist(), held, strict=True)
    ]
    work = partial(_pictures, size=plan.size)
    for place, images in enumerate(applied(work, pictures, workers=plan.workers, what=what)):
        drawn[place, held[place]] = images


def _pictures(picture: _Picture, size: int) -> npt.NDArray[np.uint8]:
    return drawn_by(picture.file, picture.number, picture.codes, size, _OVERSAMPLING)


def _list(found: Typefaces, reasons: list[str], folder: Path) -> None:
    """A table of the typefaces for people: what was taken, what was left out and why."""

    def fill(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(("file", "index", "name", "characters", "sha256", "what"))
            held = found.held.sum(axis=1)
            columns = (found.files, found.indices, found.names, held, found.digests, reasons)
            table.writerows(zip(*columns, strict=True))

    write_whole(folder / "typefaces.csv", fill)
