"""A tree of photographs to the same tree of crops, which a killed run can go on with."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy.typing as npt

from metricface.data.alignment.align import Detector, Face
from metricface.data.alignment.crop_table import GONE, NO_FACE, NO_LANDMARKS, TABLE, CropTable
from metricface.data.alignment.cropping import Cropping
from metricface.data.alignment.templates import Template, as_template
from metricface.data.layouts.class_folders import images_below
from metricface.data.layouts.notes import warn_of_notes, warn_of_unread
from metricface.files import clear_leftovers, used_alone
from metricface.given import arrived, as_count
from metricface.progress import with_progress


@dataclass(frozen=True)
class AlignedFolder:
    """What :func:`align_folder` did."""

    aligned: int
    """Photographs that have a crop."""
    before: int
    """Of these, made by earlier runs."""
    without_face: int
    """Photographs in which no face was found."""
    broken: int
    """Files that could not be read, or whose landmarks say nothing."""
    without_landmarks: int = 0
    """Photographs of which none were given."""


def align_folder(
    photographs: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    detector: Detector | None = None,
    landmarks: Mapping[str, npt.ArrayLike] | None = None,
    template: Template = "arcface",
    face: Face = "largest",
    antialias: bool = False,
    detected_by: str | None = None,
    workers: int = 0,
    progress: bool = True,
) -> AlignedFolder:
    """Crop every photograph of a tree: ``photographs/anna/1.jpg`` to ``out/anna/1.png``.

    ``out/faces.csv`` lists all: the photograph, its crop or the reason why there is none, the
    face's box, score and points, the transform ``x′ = a x + b y + c``, ``y′ = d x + e y + f``
    from the photograph to the crop, and the photograph's bytes and time of change. Files that
    cannot be read are listed, and end nothing. A run that was killed goes on where it was when it
    is started again, and a later run does what has no crop yet, and anew what has other landmarks,
    another size or another time than its crop was made of; a photograph whose landmarks are not
    given again keeps its crop.

    No crop is ever removed: where its photograph is gone, or could not be aligned anew, its row
    has both a crop and a reason.

    Args:
        photographs: the folder; images at any depth, as :func:`image_folder` finds them.
        out: the folder of the crops; not within the other.
        detector: as in :func:`align`; or else landmarks.
        landmarks: five points of each photograph, by its path within the folder.
        template: as in :func:`align`.
        face: as in :func:`align`.
        antialias: as in :func:`align`.
        detected_by: what is written down of the detector; its name if None.
        workers: processes; 0 works in this one.
        progress: show a bar; needs tqdm.

    Returns:
        How many there are of each.

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: no photograph in it; out lies within it, or holds crops of other settings;
            neither or both of detector and landmarks; landmarks of none of the photographs.
        BlockingIOError: another run is at work in out.
        ImportError: Pillow or tqdm is missing.

    Warns:
        UserWarning: there are crops of photographs that are gone or that could not be aligned
            anew; files of macOS, or images of other endings, were passed over.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> home = Path(tempfile.mkdtemp())
        >>> (home / "photographs").mkdir()
        >>> Image.new("RGB", (200, 200)).save(home / "photographs" / "anna.jpg")
        >>> points = [[80, 80], [120, 80], [100, 100], [85, 125], [115, 125]]
        >>> known = {"anna.jpg": points}
        >>> align_folder(home / "photographs", home / "crops", landmarks=known, progress=False)
        AlignedFolder(aligned=1, before=0, without_face=0, broken=0, without_landmarks=0)
    """
    root, target = Path(photographs).expanduser(), Path(out).expanduser()
    if (landmarks is None) == (detector is None):
        raise ValueError("give either a detector or landmarks")
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder")
    if target.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"the crops must not lie among the photographs: {target} is in {root}")
    if face not in get_args(Face):
        raise ValueError(f"face must be 'largest' or 'central', got {arrived(face)}")
    workers = as_count("workers", workers, 0)
    below = images_below(root)
    warn_of_notes(below.notes, root)
    warn_of_unread(below.unread, root)
    paths = [path.relative_to(root).as_posix() for path in below.images]
    if not paths:
        raise ValueError(f"there is no image in {root}")
    if landmarks is not None and landmarks.keys().isdisjoint(paths):
        raise ValueError(
            f"none of the {len(landmarks)} paths with landmarks is a photograph in {root}: they "
            f"are such as {next(iter(landmarks), '')!r}, the photographs such as {paths[0]!r}"
        )
    table = CropTable(target)
    work = Cropping(root, table, detector, landmarks, as_template(template), face, antialias)
    by = detected_by or (None if detector is None else type(detector).__name__)
    with used_alone(target):
        table.check_settings(work.settings(by))
        made = {path: row for path, row in table.rows().items() if table.has_crop(row)}
        names = _crop_names(paths, {path: str(row["crop"]) for path, row in made.items()})
        missing = [path for path in paths if path not in made or work.changed(path, made[path])]
        for folder in {(target / names[path]).parent for path in missing}:
            folder.mkdir(parents=True, exist_ok=True)
            clear_leftovers(folder)
        outcomes = work.outcomes([(path, names[path]) for path in missing], workers)
        with table.journal() as add:
            for row in with_progress(outcomes, "aligning", shown=progress, total=len(missing)):
                add(row)
        rows = table.rows()
        gone = {
            path: row | {"reason": GONE}
            for path, row in rows.items()
            if path not in names and table.has_crop(row)
        }
        listed = {path: rows[path] for path in paths} | gone
        table.write([listed[path] for path in sorted(listed)])
    _warn_of_stale([row for row in listed.values() if row["crop"] and row["reason"]], target)
    reasons = Counter(str(rows[path]["reason"]) for path in paths)
    aligned, faceless, unmarked = (reasons.pop(each, 0) for each in ("", NO_FACE, NO_LANDMARKS))
    before = len(paths) - len(missing)
    return AlignedFolder(aligned, before, faceless, reasons.total(), unmarked)


def _crop_names(paths: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Where each crop lies; photographs that differ only in suffix keep theirs within the name."""
    short = {path: str(Path(path).with_suffix(".png").as_posix()) for path in paths}
    often = Counter([*(short[path] for path in paths if path not in known), *known.values()])
    return {
        path: known.get(path) or (short[path] if often[short[path]] == 1 else f"{path}.png")
        for path in paths
    }


def _warn_of_stale(rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    if rows:
        warnings.warn(
            f"{len(rows)} crops in {target}, such as {rows[0]['crop']!r} "
            f"({rows[0]['photograph']!r}: {rows[0]['reason']}), are of photographs that are gone "
            "or could not be aligned anew. They stay, and are read as any others: remove those "
            f"that are not wanted. They are the rows of {TABLE} with both a crop and a reason",
            stacklevel=3,
        )
