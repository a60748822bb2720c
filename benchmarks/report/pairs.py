"""The pairs a method is most wrong about, with their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.convergence.folds import load, make_folds
from benchmarks.convergence.settings import Settings
from benchmarks.report.document import Pairs
from benchmarks.report.run import Run, read_table
from metricface.evaluation import HardestPairs

SHOWN = 8


def hardest_pairs(run: Run, methods: Sequence[str]) -> list[Pairs]:
    """The hardest pairs of each method's first cell that has them.

    Args:
        run: says which images were held out.
        methods: whose pairs; each has some.

    Raises:
        ValueError: a file that holds something else, or settings that this version does not know.
        ImportError: the images' package is missing.
    """
    settings = _settings(run.settings)
    images = load(settings.data)
    folds = make_folds(images, settings)
    sheets = []
    for place, method in enumerate(methods, start=1):
        cell, file = next(iter(run.files_of("hardest", method).items()))
        if cell.fold >= len(folds):
            raise ValueError(f"{file} is of fold {cell.fold}, the settings have {len(folds)}")
        title = f"{cell.method}, seed {cell.seed}, fold {cell.fold}"
        found, held = read_pairs(file), folds[cell.fold].held
        _check(file, found, len(held))
        names = [images.names[label] for label in held.labels.tolist()]
        sheets.append(Pairs(f"hardest-{place}", title, held.images, found, names))
    return sheets


def _check(file: Path, found: HardestPairs, images: int) -> None:
    """Refuse pairs that were written with other images."""
    last = max(int(found.impostors.max(initial=0)), int(found.genuine.max(initial=0)))
    if last >= images:
        raise ValueError(
            f"{file} speaks of image {last}, {images} are held out: "
            "it was written with other images"
        )


def read_pairs(file: Path) -> HardestPairs:
    """Pairs as they were saved, the first few of each kind.

    Args:
        file: a CSV with the columns ``kind``, ``first``, ``second`` and ``distance``.

    Raises:
        ValueError: other columns.
    """
    table = read_table(file, numbers=("first", "second", "distance"), texts=("kind",))
    impostor, genuine = (
        table[table["kind"] == kind].head(SHOWN) for kind in ("impostor", "genuine")
    )
    return HardestPairs(
        impostors=impostor[["first", "second"]].to_numpy(np.int64),
        impostor_distances=impostor["distance"].to_numpy(float),
        genuine=genuine[["first", "second"]].to_numpy(np.int64),
        genuine_distances=genuine["distance"].to_numpy(float),
    )


def _settings(written: dict[str, Any]) -> Settings:
    """The run's settings, on the CPU: the pictures need no accelerator."""
    unknown = set(written) - {field.name for field in fields(Settings)}
    if unknown:
        raise ValueError(
            f"the run has the settings {', '.join(sorted(unknown))}, unknown to this version"
        )
    return replace(Settings(**written), device="cpu")
