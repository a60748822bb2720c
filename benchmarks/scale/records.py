"""Opening a record file of millions of images, labels included."""

from __future__ import annotations

import argparse
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.scale.table import Column, show
from benchmarks.speed.timing import peak_extra_mib
from metricface.data import record_file

DESCRIPTION = """\
Seconds and memory until a record file is open and all labels are known, with insightface's
header records and without, where the label of every image is read from its own header.

The file is made up: its images are a few bytes, so that it fits a disk. A real one of 5.8 million
images has some 100 GB, which are mapped and not read.
"""
HEADERS = {"insightface": True, "im2rec": False}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    form: str
    images: int
    identities: int
    file_mib: float
    open_s: float
    peak_mib: float


COLUMNS = (
    Column("form", "form", "<14"),
    Column("images", "images", ">12,"),
    Column("identities", "identities", ">12,"),
    Column("file_mib", "MiB of files", ">14,.0f"),
    Column("open_s", "seconds", ">10.2f"),
    Column("peak_mib", "peak MiB", ">10,.0f"),
)


def make(folder: Path, images: int, identities: int, *, headers: bool) -> None:
    """``train.rec`` and ``train.idx`` with images of four bytes."""
    labels = np.sort(np.random.default_rng(0).integers(0, identities, images))
    content = np.zeros((images, 9), "<u4")  # a record of 28 bytes: header, then four of the image
    content[:, :2] = 0xCED7230A, 28
    content[:, 3] = labels.astype("<f4").view("<u4")
    ends = np.searchsorted(labels, np.arange(identities), side="right") + 1
    ranges = np.zeros((identities, 10), "<u4")  # two labels of four bytes, no image
    ranges[:, :3] = 0xCED7230A, 32, 2
    ranges[:, 8:] = np.stack([np.r_[1, ends[:-1]], ends], 1).astype("<f4").view("<u4")
    first = struct.pack(
        "<IIIfQQff", 0xCED7230A, 32, 2, 0, 0, 0, images + 1, images + 1 + identities
    )
    with (folder / "train.rec").open("wb") as file:
        file.write(first if headers else b"")
        content.tofile(file)
        file.write(ranges.tobytes() if headers else b"")
    sizes = [40] * headers + [36] * images + [40] * (identities * headers)
    offsets = np.cumsum([0, *sizes[:-1]])
    lines = "".join(f"{key}\t{at}\n" for key, at in enumerate(offsets.tolist(), 1 - headers))
    (folder / "train.idx").write_text(lines, encoding="ascii")


def rows(images: int, identities: int) -> Iterator[Row]:
    """Both forms, each in a folder that is gone afterwards."""
    for form, headers in HEADERS.items():
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), images, identities, headers=headers)
            taken: list[float] = []

            def opened(folder: str = folder, taken: list[float] = taken) -> None:
                start = perf_counter()
                found = record_file(folder)
                taken.append(perf_counter() - start)
                if len(found.labels) != images:
                    raise RuntimeError(f"{images} images were written, {len(found.labels)} found")

            peak = peak_extra_mib(opened)
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
            yield Row(form, images, identities, size, taken[0], peak)


def add_command(commands: Any) -> None:
    """``python -m benchmarks.scale records``."""
    parser = commands.add_parser(
        "records",
        help="opening a record file of millions of images",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--images", type=int, default=200_000, help="default: 200000; MS1M: 5800000"
    )
    parser.add_argument(
        "--identities", type=int, default=None, help="default: images / 68, as MS1M"
    )
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="also write a CSV")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    identities = chosen.identities or max(chosen.images // 68, 2)
    return show(rows(chosen.images, identities), COLUMNS, chosen.out)
