"""A tree of photographs to the same tree of crops, which a killed run can go on with."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from metricface.data.alignment.align import Detector, Face, align, as_pixels, chosen
from metricface.data.alignment.landmarks import ANY_NAME
from metricface.data.alignment.templates import Template, as_template
from metricface.data.layouts.class_folders import images_below
from metricface.data.layouts.notes import warn_of_notes, warn_of_unread
from metricface.files import clear_leftovers, used_alone, write_whole
from metricface.given import arrived, as_count
from metricface.progress import with_progress

#: What a run leaves beside the crops: what was found, with which settings, and meanwhile a journal.
FOUND, SETTINGS, _JOURNAL = "faces.csv", "align.json", ".faces.journal"
_POINTS = tuple(f"{axis}{number}" for number in range(1, 6) for axis in "xy")
_NUMBERS = ("left", "top", "right", "bottom", "score", *_POINTS, *"abcdef")
_FILE = ("bytes", "modified")  # of the photograph, by which another one under its name is told
_TRIED = 8  # photographs that a worker is given at a time


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
    work = _Work(root, target, detector, landmarks, as_template(template), face, antialias)
    by = detected_by or (None if detector is None else type(detector).__name__)
    with used_alone(target):
        _check_settings(target, work.settings(by))
        made = {path: row for path, row in _known(target).items() if _has_crop(target, row)}
        names = _crop_names(paths, {path: str(row["crop"]) for path, row in made.items()})
        missing = [path for path in paths if path not in made or work.changed(path, made[path])]
        for folder in {(target / names[path]).parent for path in missing}:
            folder.mkdir(parents=True, exist_ok=True)
            clear_leftovers(folder)
        with (target / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write("\n")  # after a line that a killed run was writing
            outcomes = work.outcomes([(path, names[path]) for path in missing], workers)
            shown = with_progress(outcomes, "aligning", shown=progress, total=len(missing))
            for row in shown:
                journal.write(json.dumps(row) + "\n")
                journal.flush()
        rows = _known(target)
        gone = {
            path: row | {"reason": _GONE}
            for path, row in rows.items()
            if path not in names and _has_crop(target, row)
        }
        listed = {path: rows[path] for path in paths} | gone
        _write_found(target, [listed[path] for path in sorted(listed)])
        (target / _JOURNAL).unlink()
    _warn_of_stale([row for row in listed.values() if row["crop"] and row["reason"]], target)
    reasons = Counter(str(rows[path]["reason"]) for path in paths)
    aligned, faceless, unmarked = (reasons.pop(each, 0) for each in ("", _NO_FACE, _NO_LANDMARKS))
    before = len(paths) - len(missing)
    return AlignedFolder(aligned, before, faceless, reasons.total(), unmarked)


_NO_FACE, _NO_LANDMARKS = "no face was found", "no landmarks were given"
_GONE = "the photograph is gone"


class _Work(Dataset["list[dict[str, Any]]"]):
    """What the workers do: photographs to crops on the disk, and a row for each."""

    def __init__(
        self,
        root: Path,
        target: Path,
        detector: Detector | None,
        landmarks: Mapping[str, npt.ArrayLike] | None,
        template: Any,
        face: Face,
        antialias: bool,  # noqa: FBT001
    ) -> None:
        self._root, self._target = root, target
        self._detector, self._landmarks = detector, landmarks
        self._template, self._face, self._antialias = template, face, antialias
        self._tasks: Sequence[tuple[str, str]] = ()

    def settings(self, by: str | None) -> dict[str, Any]:
        """What decides how the crops look."""
        return {
            "size": list(self._template.size),
            "template": json.loads(json.dumps(self._template.points)),
            "landmarks": "given" if by is None else f"by {by}",
            "face": self._face,
            "antialias": self._antialias,
        }

    def changed(self, path: str, row: Mapping[str, Any]) -> bool:
        """Whether the crop of this row is not the one that would be made now."""
        with suppress(OSError, ValueError):  # of files and points that the row will tell of
            if row["reason"] or self._file(path) != {name: row.get(name) for name in _FILE}:
                return True
            given = (self._landmarks or {}).get(path)
            return given is not None and _told(given) != [row[name] for name in _POINTS]
        return True

    def _file(self, path: str) -> dict[str, Any]:
        status = (self._root / path).stat()
        return dict(zip(_FILE, (status.st_size, status.st_mtime), strict=True))

    def outcomes(self, tasks: Sequence[tuple[str, str]], workers: int) -> Iterator[dict[str, Any]]:
        """A row for each photograph, in their order."""
        self._tasks = tasks
        loader = DataLoader(
            self,
            batch_size=_TRIED,
            num_workers=workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # without one, it would draw from the global generator
        )
        return (row for batch in loader for row in batch)

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitems__(self, places: Sequence[int]) -> list[dict[str, Any]]:
        return [self._row(*self._tasks[place]) for place in places]

    def _row(self, path: str, crop: str) -> dict[str, Any]:
        row: dict[str, Any] = {"photograph": path, "crop": crop, "reason": ""}
        try:
            row |= self._file(path)  # before it is read: what is changed meanwhile is seen later
            row |= self._cropped(path, crop)
        except (OSError, ValueError) as error:
            row["reason"] = str(error).replace(f"{self._root}{os.sep}", "")
        return row if _has_crop(self._target, row) else row | {"crop": ""}

    def _cropped(self, path: str, crop: str) -> dict[str, Any]:
        from PIL import Image

        pixels = as_pixels(self._root / path)
        if self._detector is None:
            found = (np.full(4, np.nan), (self._landmarks or {}).get(path), np.nan)
            if found[1] is None:
                return {"reason": _NO_LANDMARKS}
        else:
            best = chosen(self._detector(pixels), pixels.shape[:2], self._face)
            if best is None:
                return {"reason": _NO_FACE}
            found = best
        box, points, score = (np.asarray(each, dtype=np.float64) for each in found)
        made = align([pixels], points[None], template=self._template, antialias=self._antialias)
        grey = (made.images[0] * 255).round().byte().permute(1, 2, 0).numpy()
        picture = Image.fromarray(grey)
        write_whole(self._target / crop, lambda part: picture.save(part, format="PNG"))
        numbers = [box, score, points, made.transforms[0].numpy()]
        told = _told(np.concatenate([each.ravel() for each in numbers]))
        return dict(zip(_NUMBERS, told, strict=True))


def _told(numbers: npt.ArrayLike) -> list[float | None]:
    """Numbers as they are written down."""
    every = np.asarray(numbers, dtype=np.float64).ravel().tolist()
    return [None if np.isnan(number) else round(number, 6) for number in every]


def _as_it_is(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return batch


def _crop_names(paths: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Where each crop lies; photographs that differ only in suffix keep theirs within the name."""
    short = {path: str(Path(path).with_suffix(".png").as_posix()) for path in paths}
    often = Counter([*(short[path] for path in paths if path not in known), *known.values()])
    return {
        path: known.get(path) or (short[path] if often[short[path]] == 1 else f"{path}.png")
        for path in paths
    }


def _check_settings(target: Path, settings: dict[str, Any]) -> None:
    """The same as before, or a folder without crops."""
    file = target / SETTINGS
    if not file.exists():
        text = json.dumps(settings, indent=2) + "\n"
        write_whole(file, lambda part: part.write_text(text, encoding="utf-8"))
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    other = [name for name in settings if before.get(name) != settings[name]]
    if other:
        was, now = (shorten(str(each), 60) for each in (before.get(other[0]), settings[other[0]]))
        raise ValueError(
            f"{target} holds crops with another {other[0]}, {was} in place of {now}: give "
            "another folder, or remove this one"
        )


def _known(target: Path) -> dict[str, dict[str, Any]]:
    """The rows of earlier runs by photograph: of the table, then of a journal that was left."""
    rows: dict[str, dict[str, Any]] = {}
    if (target / FOUND).exists():
        with (target / FOUND).open(newline="", encoding="utf-8", errors=ANY_NAME) as table:
            for row in csv.DictReader(table):
                rows[row["photograph"]] = {
                    name: value if name in ("photograph", "crop", "reason") else _number(value)
                    for name, value in row.items()
                }
                if row["reason"] == _GONE:  # until it is known whether it still is
                    rows[row["photograph"]]["reason"] = ""
    with suppress(FileNotFoundError):
        for line in (target / _JOURNAL).read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):  # the line that was being written
                row = json.loads(line)
                rows[row["photograph"]] = row
    return rows


def _number(text: str | None) -> float | None:
    return (int(text) if text.isdigit() else float(text)) if text else None


def _has_crop(target: Path, row: Mapping[str, Any]) -> bool:
    return bool(row["crop"]) and (target / str(row["crop"])).is_file()


def _write_found(target: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    def fill(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8", errors=ANY_NAME) as table:
            writer = csv.writer(table, lineterminator="\n")
            header = ("photograph", "crop", "reason", *_NUMBERS, *_FILE)
            writer.writerow(header)
            writer.writerows([_text(row.get(name)) for name in header] for row in rows)

    write_whole(target / FOUND, fill)


def _text(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _warn_of_stale(rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    if rows:
        warnings.warn(
            f"{len(rows)} crops in {target}, such as {rows[0]['crop']!r} "
            f"({rows[0]['photograph']!r}: {rows[0]['reason']}), are of photographs that are gone "
            "or could not be aligned anew. They stay, and are read as any others: remove those "
            f"that are not wanted. They are the rows of {FOUND} with both a crop and a reason",
            stacklevel=3,
        )
