"""Images in folders, one folder for each identity."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, TypeAlias, get_args

from metricface.data.images.encoded_images import Transform
from metricface.data.images.identity_labels import named_identities, warn_without_pairs
from metricface.data.images.image_files import ImageFiles
from metricface.data.layouts.notes import is_note, warn_of_notes, warn_of_unread

Empty: TypeAlias = Literal["error", "skip"]
"""What to do with folders that hold no image."""

_SUFFIXES = frozenset(
    (
        *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg"),
        *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
    )
)
_UNREAD = frozenset(
    (
        *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".j2k", ".jp2", ".jxl"),
        *(".nef", ".orf", ".raf", ".tga"),
    )
)
_NAMED = 3


def image_folder(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    colour: bool = False,
    transform: Transform | None = None,
    empty: Empty = "error",
) -> ImageFiles:
    """The images of a folder with one folder for each identity: ``path/anna/1.jpg``.

    Identities are the folders directly in ``path``, in the order of their names. The images of an
    identity are all files at any depth of its folder that end in .bmp, .gif, .jfif, .jpe, .jpeg,
    .jpg, .pgm, .png, .ppm, .tif, .tiff or .webp, in capitals or not, in the order of their paths.
    Names that begin with a dot are passed over; those that macOS leaves, ``._1.jpg``, and images
    of other endings, such as .heic, are counted. Links are followed.

    Args:
        path: the folder.
        size: height and width to stretch the images to; ``None`` leaves them as they are, and
            those of a batch must then be of one size.
        colour: red, green, blue rather than grey.
        transform: changes each image, float32 ``[1 or 3, H, W]``, when it is asked for.
        empty: what to do with folders without images: ``"error"`` raises, ``"skip"`` leaves them
            out, with a warning that names them. No file is opened here; for broken ones see
            :meth:`ImageFiles.load`.

    Returns:
        A dataset that decodes what is asked for; :meth:`ImageFiles.load` decodes everything. Its
        names are those of the folders.

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: no folders in it, a folder without images, images beside the folders, or a
            link to a folder that it lies in.
        OSError: a folder cannot be read.
        ImportError: Pillow is not installed.

    Warns:
        UserWarning: no identity has a second image; folders were left out; files of macOS or
            images of other endings were passed over.

    Example:
        >>> import tempfile
        >>> people = Path(tempfile.mkdtemp())
        >>> for name in ("anna", "ben"):
        ...     (people / name).mkdir()
        ...     for i in (1, 2):
        ...         length = (people / name / f"{i}.pgm").write_bytes(b"P5 1 1 255 " + bytes([7]))
        >>> image_folder(people)
        ImageFiles(4 image files, 2 identities)
    """
    root = Path(path).expanduser()
    folders = _class_folders(root)
    found = {folder.name: images_below(folder) for folder in folders}
    warn_of_notes(sum(inside.notes for inside in found.values()), root)
    warn_of_unread([each for inside in found.values() for each in inside.unread], root)
    files = {name: inside.images for name, inside in found.items()}
    _check_empty([name for name, inside in files.items() if not inside], len(files), root, empty)
    labels, names = named_identities([name for name, inside in files.items() for _ in inside])
    warn_without_pairs(labels, root)
    paths = [file for inside in files.values() for file in inside]
    return ImageFiles(paths, labels, names, size=size, colour=colour, transform=transform)


def _class_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder")
    entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    folders = sorted((entry for entry in entries if entry.is_dir()), key=lambda folder: folder.name)
    loose = sorted(entry.name for entry in entries if _is_image(entry.name) and entry.is_file())
    rule = "the images of each identity must lie in a folder of its own"
    if loose:
        raise ValueError(f"{len(loose)} images, such as {loose[0]!r}, lie in {root} itself: {rule}")
    if not folders:
        raise ValueError(f"there is no folder in {root}: {rule}")
    return folders


def _check_empty(names: list[str], count: int, root: Path, empty: Empty) -> None:
    if empty not in get_args(Empty):
        raise ValueError(f"empty must be 'error' or 'skip', got {empty!r}")
    if not names:
        return
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    sentence = (
        f"{len(names)} of {count} folders of {root} hold no image: "
        f"{', '.join(map(repr, names[:_NAMED]))}{more}; images end in "
        f"{', '.join(sorted(_SUFFIXES))}"
    )
    if empty == "error" or len(names) == count:
        raise ValueError(f"{sentence}; empty='skip' leaves such folders out")
    warnings.warn(f"left out: {sentence}", stacklevel=3)


class Below(NamedTuple):
    """The files at any depth of a folder."""

    images: list[Path]
    """In the order of their paths."""
    notes: int
    """What macOS keeps beside an image ends as the image does, and is none."""
    unread: list[str]
    """The ending of each image of another kind than is read."""


def images_below(folder: Path) -> Below:
    """The images at any depth of a folder, and what was passed over.

    Raises:
        ValueError: a link leads to a folder that it lies in.
        OSError: a folder cannot be read.
    """
    found: list[Path] = []
    known = _SUFFIXES | _UNREAD
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        _check_link(Path(parent))
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if _ending(name) in known]
    images = sorted(file for file in found if _is_image(file.name))
    notes = sum(is_note(file) and _ending(file.name) in _SUFFIXES for file in found)
    endings = [_ending(file.name) for file in found if not file.name.startswith(".")]
    return Below(images, notes, [ending for ending in endings if ending in _UNREAD])


def _raise(error: OSError) -> NoReturn:
    raise error


def _check_link(folder: Path) -> None:
    """Raise where a link leads back to what lies above it, by its own way or by the links'."""
    if not folder.is_symlink():
        return
    above = (*folder.absolute().parents, *folder.parent.resolve().parents)
    if folder.resolve() in {each.resolve() for each in above}:
        raise ValueError(
            f"{folder} is a link to a folder that it lies in: its images would be met again, under "
            "other identities; remove it"
        )


def _is_image(name: str) -> bool:
    return not name.startswith(".") and _ending(name) in _SUFFIXES


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()
