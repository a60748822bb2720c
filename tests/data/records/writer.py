"""Record files as MXNet and insightface write them. Imports nothing of what reads them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

MAGIC = struct.pack("<I", 0xCED7230A)


def encoded(pixels: npt.NDArray[np.uint8], form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=form)
    return file.getvalue()


def packed(label: float | Sequence[float], content: bytes, number: int = 0) -> bytes:
    """A header and what belongs to it, as ``mx.recordio.pack``."""
    if isinstance(label, int | float):
        return struct.pack("<IfQQ", 0, label, number, 0) + content
    labels = np.array(label, "<f4").tobytes()
    return struct.pack("<IfQQ", len(label), 0, number, 0) + labels + content


def record(content: bytes) -> bytes:
    """One record; where the content holds the magic word at a multiple of four, in parts."""
    parts, start = [], 0
    for at in range(0, len(content) - 3, 4):
        if content[at : at + 4] == MAGIC:
            parts.append(content[start:at])
            start = at + 4
    parts.append(content[start:])
    flags = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    return b"".join(
        MAGIC + struct.pack("<I", flag << 29 | len(part)) + part + b"\0" * (-len(part) % 4)
        for flag, part in zip(flags, parts, strict=True)
    )


def write(folder: Path, contents: Sequence[bytes], *, first: int = 0, index: bool = True) -> Path:
    """``train.rec`` and ``train.idx`` of these records, numbered from ``first``."""
    offsets, data = [], b""
    for content in contents:
        offsets.append(len(data))
        data += record(content)
    (folder / "train.rec").write_bytes(data)
    if index:
        lines = [f"{key}\t{offset}\n" for key, offset in enumerate(offsets, first)]
        (folder / "train.idx").write_text("".join(lines))
    return folder / "train.rec"


def write_insightface(folder: Path, images: Sequence[bytes], labels: Sequence[int]) -> Path:
    """Record 0 tells where images and identities are; labels must be sorted, from 0 on."""
    count, people = len(images), max(labels) + 1
    contents = [packed([count + 1, count + 1 + people], b"")]
    contents += [
        packed(label, image, number)
        for number, (image, label) in enumerate(zip(images, labels, strict=True), 1)
    ]
    for person in range(people):
        own = [number for number, label in enumerate(labels, 1) if label == person]
        contents.append(packed([own[0], own[-1] + 1], b""))
    return write(folder, contents)
