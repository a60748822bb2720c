"""What the workers do: photographs to crops on the disk, and a row of the table for each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from metricface.data.alignment.align import Detector, Face, align, as_pixels, chosen
from metricface.data.alignment.crop_table import (
    FILE,
    NO_FACE,
    NO_LANDMARKS,
    NUMBERS,
    CropTable,
    as_told,
)
from metricface.data.alignment.landmarks import POINTS
from metricface.data.alignment.templates import CropTemplate
from metricface.files import write_whole

_TRIED = 8  # photographs that a worker is given at a time


class Cropping(Dataset["list[dict[str, Any]]"]):
    """Photographs to crops on the disk, and a row of the table for each.

    Args:
        root: the folder of the photographs.
        table: of the folder of the crops.
        detector: or else landmarks.
        landmarks: five points of each photograph, by its path.
        template: where the points go.
        face: which of several.
        antialias: as in :func:`align`.
    """

    def __init__(
        self,
        root: Path,
        table: CropTable,
        detector: Detector | None,
        landmarks: Mapping[str, npt.ArrayLike] | None,
        template: CropTemplate,
        face: Face,
        antialias: bool,  # noqa: FBT001
    ) -> None:
        self._root, self._table = root, table
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
            if row["reason"] or self._file(path) != {name: row.get(name) for name in FILE}:
                return True
            given = (self._landmarks or {}).get(path)
            return given is not None and as_told(given) != [row[name] for name in POINTS]
        return True

    def _file(self, path: str) -> dict[str, Any]:
        status = (self._root / path).stat()
        return dict(zip(FILE, (status.st_size, status.st_mtime), strict=True))

    def outcomes(self, tasks: Sequence[tuple[str, str]], workers: int) -> Iterator[dict[str, Any]]:
        """A row for each task, a photograph's path and its crop's, in their order."""
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
        return row if self._table.has_crop(row) else row | {"crop": ""}

    def _cropped(self, path: str, crop: str) -> dict[str, Any]:
        from PIL import Image

        pixels = as_pixels(self._root / path)
        if self._detector is None:
            found = (np.full(4, np.nan), (self._landmarks or {}).get(path), np.nan)
            if found[1] is None:
                return {"reason": NO_LANDMARKS}
        else:
            best = chosen(self._detector(pixels), pixels.shape[:2], self._face)
            if best is None:
                return {"reason": NO_FACE}
            found = best
        box, points, score = (np.asarray(each, dtype=np.float64) for each in found)
        made = align([pixels], points[None], template=self._template, antialias=self._antialias)
        cropped = (made.images[0] * 255).round().byte().permute(1, 2, 0).numpy()
        picture = Image.fromarray(cropped)
        write_whole(self._table.folder / crop, lambda part: picture.save(part, format="PNG"))
        numbers = [box, score, points, made.transforms[0].numpy()]
        told = as_told(np.concatenate([each.ravel() for each in numbers]))
        return dict(zip(NUMBERS, told, strict=True))


def _as_it_is(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return batch
