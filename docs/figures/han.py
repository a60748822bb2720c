"""Draw characters in one typeface of each family: ``python docs/figures/han.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from metricface.data import TypefaceSet, han

CHARACTERS = "永東國語愛夢龍風花鳥"  # in most typefaces, those of Taiwan and Korea included


def one_of_each_family(data: TypefaceSet) -> list[int]:
    """The typeface with most images in each family, in the order of families."""
    counts = np.bincount(data.typefaces)
    family = np.zeros(len(counts), np.int64)
    family[data.typefaces] = data.families
    return [
        int(max(np.flatnonzero(family == number), key=lambda face: counts[face]))
        for number in range(int(family.max()) + 1)
    ]


def sheet(data: TypefaceSet, faces: list[int]) -> np.ndarray:
    """Black on white: a row for each character, a column for each typeface."""
    height, width = data.images.shape[1:]
    page = np.full((len(CHARACTERS) * (height + 4), len(faces) * (width + 4)), 255, np.uint8)
    labels = [data.names.index(f"{one} U+{ord(one):04X}") for one in CHARACTERS]
    for row, label in enumerate(labels):
        for column, face in enumerate(faces):
            there = np.flatnonzero((data.labels == label) & (data.typefaces == face))
            for image in data.images[there]:
                top, left = row * (height + 4) + 2, column * (width + 4) + 2
                page[top : top + height, left : left + width] = 255 - image
    return page


def main() -> None:
    """Two bands of typefaces, each under its name."""
    data = han(workers=2)
    faces = one_of_each_family(data)
    half = -(-len(faces) // 2)
    figure, bands = plt.subplots(2, 1, figsize=(13, 12), layout="constrained")
    for band, some in zip(bands, (faces[:half], faces[half:]), strict=True):
        band.imshow(sheet(data, some), cmap="gray", vmin=0, vmax=255, interpolation="none")
        cell = data.images.shape[2] + 4
        band.set_xlim(-0.5, half * cell - 0.5)
        band.xaxis.tick_top()
        names = [data.typeface_names[face].removesuffix(" Regular") for face in some]
        band.set_xticks([cell * (place + 0.5) for place in range(len(some))], names)
        band.tick_params("x", labelrotation=60, labelsize=8, length=0)
        for label in band.get_xticklabels():
            label.set(ha="left", rotation_mode="anchor")
        band.set_yticks([])
        band.spines[:].set_visible(False)
    drawn = f"{len(data.names):,} identities in {len(data.typeface_names)} typefaces"
    figure.suptitle(f"{drawn}; here one of each of {len(faces)} families", fontsize=11)
    file = Path(__file__).parent / "han.png"
    figure.savefig(file, dpi=100)
    Image.open(file).convert("L").quantize(8).save(file, optimize=True)  # a quarter of the bytes


if __name__ == "__main__":
    main()
