"""What is trained on and what is tested: photographs, crops, record files, lists of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.faces.alignment import photographs
from metricface import data
from metricface.data import (
    MTCNN,
    CropTemplate,
    align_folder,
    identity_split,
    image_folder,
    orl_faces,
    read_landmarks,
)
from metricface.evaluation import NamedPairs, read_csv_pairs, read_lfw_pairs
from metricface.files import write_whole

Images: TypeAlias = Any
"""A dataset with ``.labels`` and ``subset``, as all of :mod:`metricface.data` are."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Trial:
    """The images of a test, and which of them are compared."""

    images: Images
    """A dataset."""
    protocol: str
    """What the test is, in words."""
    pairs: npt.NDArray[np.int64] | None = None
    """Rows that are compared ``[T, 2]``; None compares all."""
    same: npt.NDArray[np.bool_] | None = None
    """Whether each pair is of one identity ``[T]``."""
    folds: int = 10
    """Of the accuracy."""


@dataclass(frozen=True)
class Alignment:
    """How photographs become crops.

    Attributes:
        by: ``"mtcnn"``, or a CSV file of landmarks.
        template: ``"arcface"`` or ``"sphereface"``.
        min_face: shortest side of a face that MTCNN looks for, in pixels.
        workers: processes.
    """

    by: str
    template: str
    min_face: float = 40
    workers: int = 0

    def crops_of(self, tree: Path, out: Path) -> Path:
        """A folder with the crops of a tree of photographs; a killed run goes on.

        Raises:
            ValueError: not one face was found.
        """
        points = None if self.by == "mtcnn" else read_landmarks(self.by)
        detector = MTCNN(min_face=self.min_face) if points is None else None
        made = align_folder(
            tree,
            out,
            detector=detector,
            landmarks=points,
            template=self.template,
            workers=self.workers,
            detected_by=None if detector is None else repr(detector),
        )
        print(f"{tree}: {made}; which and why: {out / 'faces.csv'}", flush=True)
        if not made.aligned:
            raise ValueError(f"no photograph of {tree} gave a crop: {out / 'faces.csv'} tells why")
        for folder in sorted(filter(Path.is_dir, out.rglob("*")), reverse=True):
            if not any(folder.iterdir()):  # nobody is left whose crops it could hold
                folder.rmdir()
        return out


def training_images(given: str, size: Size | None, how: Alignment | None, out: Path) -> Images:
    """The images to train on.

    Args:
        given: ``"orl"``, a record file or its folder, or a folder with one folder for each person.
        size: height and width; None is that of the template.
        how: makes crops of photographs; None where they are crops.
        out: the run folder, in which the crops lie.

    Raises:
        ValueError: records that are to be aligned; a missing folder.
        ImportError: no reader of record files.
    """
    wanted = size or CropTemplate.named("arcface" if how is None else how.template).size
    tree = Path(given)
    if given == "orl" and how is None:
        return orl_faces(size=wanted)
    if tree.suffix == ".rec" or (tree / "train.rec").exists():
        if how is not None:
            raise ValueError("record files hold crops: leave out --align")
        return _reader("record_file")(tree, size=wanted, colour=True)
    if given == "orl":
        tree = turned_orl(out / "photographs")
    if how is not None:
        tree = how.crops_of(tree, out / "crops")
    return image_folder(tree, size=wanted, colour=True)


def turned_orl(folder: Path, degrees: float = 15) -> Path:
    """The ORL faces as photographs, turned, scaled and shifted, as files."""
    faces = orl_faces()
    for number, pixels in enumerate(photographs(faces.images, degrees)):
        file = folder / faces.names[faces.labels[number]] / f"{number % 10 + 1}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            write_whole(file, partial(Image.fromarray(pixels).save, format="PNG"))
    return folder


def held_out(images: Images, share: float, seed: int) -> tuple[Images, Trial]:
    """The images of some people to train on, and all pairs of the others' as the test.

    Args:
        images: of everybody.
        share: of the people who are not trained on.
        seed: decides who.
    """
    train, test = identity_split(images.labels, (1 - share, share), seed=seed)
    people = len(np.unique(images.labels[test]))
    return images.subset(train), Trial(
        images.subset(test), f"all pairs of {people} people who were not trained on"
    )


def bin_trial(file: Path, size: Size) -> Trial:
    """One of insightface's verification sets, such as ``lfw.bin``.

    Raises:
        ImportError: no reader of such files.
    """
    found = _reader("verification_bin")(file, size=size, colour=True)
    return Trial(found.images, f"the pairs of {file.name}", found.pairs, np.asarray(found.same))


def listed_trial(file: Path, tree: Path, size: Size, how: Alignment | None, out: Path) -> Trial:
    """LFW's ``pairs.txt``, or a CSV of pairs, and the folder of its images.

    Images go by their path in the folder, without what it ends in, so that crops in PNG files
    stand for photographs in JPEG files.

    Args:
        file: the list.
        tree: photographs or crops.
        size: height and width.
        how: makes crops of photographs.
        out: the run folder.

    Raises:
        ValueError: a pair without its images: one that gave no crop is no reason to leave a pair
            out of a protocol.
    """
    read = read_csv_pairs if file.suffix == ".csv" else read_lfw_pairs
    written = read(file)
    first, second = (tuple(map(_stem, side)) for side in (written.first, written.second))
    listed = NamedPairs(first, second, written.same, written.folds)
    crops = tree if how is None else how.crops_of(tree, out / "test-crops")
    images = image_folder(crops, size=size, colour=True)
    paths = [images.paths[row].relative_to(crops).as_posix() for row in range(len(images))]
    pairs, same = listed.rows([_stem(path) for path in paths]), np.array(listed.same)
    met, rows = np.unique(pairs, return_inverse=True)
    folds = listed.folds if listed.folds > 1 else 10
    return Trial(images.subset(met), f"the pairs of {file.name}", rows.reshape(-1, 2), same, folds)


def _stem(path: str) -> str:
    """A path without what it ends in."""
    return Path(path).with_suffix("").as_posix()


def _reader(name: str) -> Any:
    """A function of metricface.data that not every release has."""
    found = getattr(data, name, None)
    if found is None:
        raise ImportError(f"this release of metricface.data has no {name}")
    return found
