"""``python -m benchmarks.faces.alignment``: does alignment help, on the ORL faces?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks.convergence.network import SmallConvNet
from benchmarks.faces.comparison import report
from benchmarks.files import write_table
from metricface.classifiers import CosFace
from metricface.data import (
    MTCNN,
    Detection,
    ImageSet,
    affine_jitter,
    align,
    identity_folds,
    orl_faces,
    random_flip,
)
from metricface.data.pixels.resampling import resampled
from metricface.evaluation import verification
from metricface.files import used_alone, write_whole
from metricface.recipes import Options, embed, fit
from metricface.samplers import PKSampler

DESCRIPTION = """\
Each ORL picture becomes a photograph of 252 x 232 by a transform that is drawn once: a border that
repeats its edge, a turn of up to --degrees, a scale of 0.8 to 1.25, a shift of up to 20 pixels.
The same small network is then trained and tested, in five folds by person, on four forms of them:

  aligned    five points of MTCNN brought to the ArcFace template
  box        the box that MTCNN gives, made square: the face in its place, not turned
  whole      the photograph as it is
  original   the ORL picture before the transform, which photographers had centred and upright

all at 56 x 56. TAR at FAR 1e-2 is over all pairs of the people that were not trained on; beside the
network's, that of the pixels themselves. A photograph in which no face is found is left out of all
forms, and counted. A killed run goes on when the command is given again.
"""

FORMS = ("aligned", "box", "whole", "original")
FOLDS, SHAPE, SIDE = 5, (252, 232), 56
Pixels = npt.NDArray[np.uint8]


class Forms(NamedTuple):
    """The same photographs in every form, and who they show."""

    images: dict[str, Pixels]
    """By form, uint8 ``[M, 56, 56]``."""
    labels: npt.NDArray[np.int64]
    """``[M]``."""
    missed: int
    """Photographs without a face."""


def photographs(pictures: Pixels, degrees: float, *, seed: int = 0) -> Pixels:
    """The pictures with wide borders, each turned, scaled and shifted.

    Args:
        pictures: uint8 ``[N, H, W]``.
        degrees: largest angle.
        seed: of the transforms.

    Example:
        >>> photographs(np.zeros((2, 112, 92), np.uint8), 15).shape
        (2, 252, 232)
    """
    draw = np.random.default_rng(seed)
    border, (height, width) = 190, SHAPE  # at any angle, the smallest scale, the largest shift
    made = []
    for picture in pictures:
        angle = np.deg2rad(draw.uniform(-degrees, degrees))
        scale = 1.25 ** draw.uniform(-1, 1)
        # PIL asks for the way back: from a photograph's coordinates to the picture's
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
        centre = np.array(picture.shape[::-1]) / 2 + border + draw.uniform(-20, 20, 2)
        offset = centre - turn @ np.array([width / 2, height / 2])
        back = (*turn[0], offset[0], *turn[1], offset[1])
        wide = Image.fromarray(np.pad(picture, border, mode="edge"))
        made.append(
            wide.transform((width, height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
        )
    return np.stack([np.asarray(each) for each in made])


def in_all_forms(faces: ImageSet, degrees: float) -> Forms:
    """Photographs of the faces, and what is made of them.

    Args:
        faces: the pictures, upright.
        degrees: largest angle of the photographs.
    """
    detect = MTCNN(min_face=40)
    taken = photographs(faces.images, degrees)
    found = [max(detect(each), key=_area, default=None) for each in taken]
    rows = [row for row, face in enumerate(found) if face is not None]
    there = [(taken[row], face) for row, face in enumerate(found) if face is not None]
    crops = align([pixels for pixels, _ in there], np.stack([f.points for _, f in there]))
    images = {
        "aligned": _halved(crops.images.mean(1)),
        "box": np.stack([_boxed(pixels, face) for pixels, face in there]),
        "whole": resampled(np.ascontiguousarray(taken[rows]), (SIDE, SIDE)),
        "original": resampled(np.ascontiguousarray(faces.images[rows]), (SIDE, SIDE)),
    }
    return Forms(images, faces.labels[rows], len(taken) - len(rows))


def _area(face: Detection) -> float:
    left, top, right, bottom = (float(each) for each in face.box)
    return (right - left) * (bottom - top)


def _halved(crops: Tensor) -> Pixels:
    """Crops ``[M, 112, 112]`` in 0 … 1 at half the size."""
    small = F.avg_pool2d(crops[:, None], 2)[:, 0]
    halved: Pixels = (small * 255).round().byte().numpy()
    return halved


def _boxed(pixels: Pixels, face: Detection) -> Pixels:
    """The square around the middle of a face's box, of its longer side."""
    left, top, right, bottom = (float(each) for each in face.box)
    half = max(right - left, bottom - top) / 2
    across, down = (left + right) / 2 + 0.5, (top + bottom) / 2 + 0.5
    around = (across - half, down - half, across + half, down + half)
    square = Image.fromarray(pixels).transform(
        (112, 112), Image.Transform.EXTENT, around, Image.Resampling.BILINEAR
    )
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))


def jittered(images: Tensor, generator: torch.Generator) -> Tensor:
    """The augmentation of every form."""
    flipped = random_flip(images, generator=generator)
    return affine_jitter(flipped, padding="border", generator=generator)


def tar_of(embeddings: Tensor, labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """TAR at FAR 1e-2, EER and how many pairs there were."""
    found = verification(embeddings, labels, fars=(1e-2,))
    return {"tar_at_0.01": found.tar[1e-2], "eer": found.eer, "genuine_pairs": found.genuine_pairs}


def trained(
    people: ImageSet, unseen: ImageSet, *, steps: int, seed: int, folder: Path
) -> dict[str, float]:
    """What the network tells of unseen people after its training."""
    torch.manual_seed(seed)
    network = SmallConvNet(128)
    classes = len(np.unique(people.labels))
    fit(
        network,
        people,
        CosFace(classes, 128, scale=30),
        sampler=PKSampler(people.labels, p=16, k=4, seed=seed),
        steps=steps,
        folder=folder,
        options=Options(augment=jittered, evaluate_every=50, seed=seed, progress=False),
    )
    return tar_of(embed(network, unseen), unseen.labels)


def measure(forms: Forms, *, steps: int, seeds: int, out: Path) -> pd.DataFrame:
    """Every form, fold and seed that is not yet in the table.

    Args:
        forms: the images.
        steps: of a training.
        seeds: trainings of each form and fold.
        out: the folder; ``cells.csv`` is written after each.
    """
    file = out / "cells.csv"
    rows: list[dict[Any, Any]] = pd.read_csv(file).to_dict("records") if file.exists() else []
    done = {(row["form"], row["method"], row["fold"], row["seed"]) for row in rows}
    tests = identity_folds(forms.labels, FOLDS)
    for seed in range(seeds):
        for fold, test in enumerate(tests):
            train = np.setdiff1d(np.arange(len(forms.labels)), test)
            for form, pixels in forms.images.items():
                every = ImageSet(pixels, forms.labels, tuple(map(str, range(40))))
                unseen = every.subset(test)
                run = out / "checkpoints" / f"{form}.seed{seed}.fold{fold}"
                methods: dict[str, Callable[[], dict[str, float]]] = {
                    "cosface": partial(
                        trained, every.subset(train), unseen, steps=steps, seed=seed, folder=run
                    )
                }
                if seed == 0:
                    methods["pixels"] = partial(_of_pixels, unseen)
                for method, told in methods.items():
                    if (form, method, fold, seed) in done:
                        continue
                    row = {"form": form, "method": method, "fold": fold, "seed": seed}
                    rows.append(row | told())
                    write_table(file, pd.DataFrame(rows))
                    print(rows[-1], flush=True)
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def _of_pixels(unseen: ImageSet) -> dict[str, float]:
    return tar_of(embed(nn.Flatten(), unseen), unseen.labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the table and the report, print the latter."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)
    out = Path(options.out)
    said = f"degrees={options.degrees:g} steps={options.steps}\n"
    with used_alone(out):
        begun = out / "settings.txt"
        before = begun.read_text(encoding="utf-8") if begun.exists() else said
        if before != said:
            sys.exit(f"{out} was begun with {before.strip()}: give another --out")
        write_whole(begun, lambda part: part.write_text(said, encoding="utf-8"))
        forms = in_all_forms(orl_faces(), options.degrees)
        table = measure(forms, steps=options.steps, seeds=options.seeds, out=out)
        text = report(
            table, degrees=options.degrees, steps=options.steps, missed=forms.missed, side=SIDE
        )
        write_whole(out / "report.md", lambda part: part.write_text(text, encoding="utf-8"))
    print(text)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.faces.alignment",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("--degrees", type=float, default=15, help="largest turn; default: 15")
    add("--steps", type=int, default=200, help="of each training; default: 200")
    add("--seeds", type=int, default=1, help="trainings of each form and fold; default: 1")
    add("--out", type=Path, default=Path("runs/faces"), metavar="DIR", help="default: runs/faces")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
