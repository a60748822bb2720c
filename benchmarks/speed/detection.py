"""``python -m benchmarks.speed detection``: which of the ORL faces MTCNN finds, and how fast."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image

from benchmarks.devices import add_device, wait
from benchmarks.files import write_table
from metricface.data import MTCNN, Detection, orl_faces

DESCRIPTION = """\
Each ORL picture becomes a photograph: with a border that repeats its edge, and turned. Counted are
the photographs in which no face is found, one, or more; median milliseconds are of a call. Beside
them, by how many pixels the points move (root mean square) when the photograph is shifted by one
pixel to the right and down, as far as a face is found in both.
"""

CASES = [(0, 0), (20, 0), (40, 0), (70, 0), (70, 15), (70, 30), (70, 45), (70, 180)]
Pixels = npt.NDArray[np.uint8]


def photograph(picture: Pixels, border: int, degrees: float) -> Pixels:
    """A picture with a border, turned against the clock.

    Example:
        >>> photograph(np.zeros((112, 92), np.uint8), 70, 30).shape
        (252, 232)
    """
    wide = np.pad(picture, border, mode="edge")
    turned = Image.fromarray(wide).rotate(degrees, Image.Resampling.BILINEAR)
    return np.array(turned)


def moved_by(face: Detection, shifted: Detection) -> float:
    """Mean square of what the points moved by, in pixels, beside the pixel that all moved by."""
    return float(np.square(shifted.points - face.points - 1).mean())


def measure(detect: MTCNN, pictures: Pixels) -> pd.DataFrame:
    """Look for the faces in every case.

    Args:
        detect: the detector.
        pictures: uint8 ``[N, H, W]``, one face in each.

    Returns:
        A row for each border and angle.
    """
    rows = []
    for border, degrees in CASES:
        counts, seconds, moves = [], [], []
        for picture in pictures:
            given = photograph(picture, border, degrees)
            start = perf_counter()
            faces = detect(given)
            wait(detect.device)
            seconds.append(perf_counter() - start)
            counts.append(min(len(faces), 2))
            again = detect(np.roll(given, (1, 1), (0, 1)))
            moves += [moved_by(*faces, *again)] if len(faces) == len(again) == 1 else []
        none, one, more = np.bincount(counts, minlength=3).tolist()
        rows.append(
            {
                "border": border,
                "degrees": degrees,
                "none": none,
                "one": one,
                "more": more,
                "moved_by": float(np.sqrt(np.mean(moves))) if moves else float("nan"),
                "median_ms": float(np.median(seconds)) * 1e3,
            }
        )
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Detect, print the table, write the CSV."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    detect = MTCNN(min_face=options.min_face, device=options.device)
    pictures = orl_faces().images[:: options.every]
    table = measure(detect, pictures)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "detection.csv"
    write_table(file, table)
    print(f"{detect}, {torch.get_num_threads()} threads, {len(pictures)} pictures\n")
    print(table.round({"moved_by": 2, "median_ms": 1}).to_string(index=False))
    print(f"\n{file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed detection",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--min-face", type=float, default=40, help="default: 40")
    add("--every", type=int, default=1, help="take one picture of so many; default: 1")
    add("--threads", type=int, default=1, help="default: 1")
    add_device(parser)
    add("--out", type=Path, default=Path("runs/speed"), metavar="DIR", help="default: runs/speed")
    return parser
