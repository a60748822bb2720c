"""insightface's verification sets: ``lfw.bin``, ``cfp_fp.bin``, ``agedb_30.bin``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.data.images.encoded_images import EncodedImages, Transform
from metricface.data.images.selection import Indices, selected
from metricface.data.records.plain_pickle import StoredArray, read_plain_pickle


@dataclass(frozen=True)
class StoredImage:
    """An encoded image in memory; its text tells where it is from."""

    place: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.place

    def read_bytes(self) -> bytes:
        """The encoded image."""
        return self.data


class StoredImages:
    """Encoded images in memory, one after the other in one array, which workers share.

    Args:
        source: the file they are from.
        encoded: ``N`` encoded images.
    """

    def __init__(self, source: Path, encoded: Sequence[bytes]) -> None:
        self._source = source
        self._data = np.frombuffer(b"".join(encoded), np.uint8)
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._numbers, self._starts, self._ends = np.arange(len(encoded)), ends[:-1], ends[1:]

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> StoredImage:
        data = self._data[self._starts[index] : self._ends[index]].tobytes()
        return StoredImage(f"{self._source}: image {self._numbers[index]}", data)

    def take(self, indices: Indices) -> StoredImages:
        """The chosen images, in the order given."""
        chosen = selected(indices)
        taken = StoredImages(self._source, ())
        taken._data, taken._numbers = self._data, self._numbers[chosen]
        taken._starts, taken._ends = self._starts[chosen], self._ends[chosen]
        return taken


class VerificationImages(EncodedImages):
    """The images of a verification set, each a number of its own: whose they are is not told.

    ``recipes.embed`` gives their embeddings in this order.
    """

    _kind = "stored"


@dataclass(frozen=True)
class VerificationSet:
    """Images, and which pairs of them are to be told apart."""

    images: VerificationImages
    """The images, two for each pair, as a dataset."""
    pairs: npt.NDArray[np.int64]
    """Rows of the images ``[T, 2]``."""
    same: npt.NDArray[np.bool_]
    """Whether a pair is of one identity ``[T]``."""


def verification_bin(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    colour: bool = True,
    transform: Transform | None = None,
) -> VerificationSet:
    """Images and pairs of a verification set as insightface distributes them.

    The file is a pickle of ``(images, same)``. A pickle is a program; of this one nothing is
    executed: lists, bytes, truth values and NumPy arrays of numbers are read, and whatever else
    is in it is an error before anything is made of it. The pairs are those of images 0 and 1, 2
    and 3, and so on, in ten folds of consecutive pairs.

    Args:
        path: ``lfw.bin`` or the like.
        size: height and width to stretch the images to; ``None`` leaves them (112 × 112).
        colour: red, green, blue, which insightface's networks take, rather than grey.
        transform: changes each image when it is asked for; see :class:`ImageFiles`.

    Returns:
        What :func:`metricface.evaluation.verification` wants beside the embeddings.

    Raises:
        OSError: the file cannot be read.
        ValueError: no such file, a truncated one, or one that holds anything else.
        ImportError: Pillow is not installed.

    Example:
        >>> import pickle, tempfile
        >>> file = Path(tempfile.mkdtemp()) / "two.bin"
        >>> image = b"P5 1 1 255 " + bytes([51])
        >>> length = file.write_bytes(pickle.dumps(([image, image], [True])))
        >>> two = verification_bin(file, colour=False)
        >>> two.images[1][0], two.pairs, two.same
        (tensor([[[0.2000]]]), array([[0, 1]]), array([ True]))
    """
    source = Path(path).expanduser()
    held = read_plain_pickle(source)
    if not isinstance(held, tuple | list) or len(held) != 2:
        raise ValueError(f"{source} is no verification set, a pickle of (images, same)")
    encoded = [_bytes_of(each, source, number) for number, each in enumerate(_listed(held[0]))]
    same = _flags(held[1], source)
    if len(encoded) != 2 * len(same):
        raise ValueError(
            f"{source} holds {len(encoded)} images but {len(same)} pairs, which take two each"
        )
    numbers = np.arange(len(encoded), dtype=np.int64)
    names = tuple(map(str, numbers.tolist()))
    stored = StoredImages(source, encoded)
    images = VerificationImages(
        stored, numbers, names, size=size, colour=colour, transform=transform
    )
    return VerificationSet(images, numbers.reshape(-1, 2), same)


def _listed(values: Any) -> Sequence[Any]:
    if isinstance(values, StoredArray):
        return list(values.value)
    return values if isinstance(values, list | tuple) else ()


def _bytes_of(image: Any, source: Path, number: int) -> bytes:
    if isinstance(image, StoredArray) and image.value.dtype == np.uint8:
        image = image.value.tobytes()
    if not isinstance(image, bytes | bytearray) or not image:
        raise ValueError(
            f"{source}: image {number} is no encoded image, but {type(image).__name__}"
        )
    return bytes(image)


def _flags(values: Any, source: Path) -> npt.NDArray[np.bool_]:
    flags = _listed(values)
    wrong = next((each for each in flags if each not in (0, 1)), None)
    if not len(flags) or wrong is not None:
        told = "none" if wrong is None else repr(wrong)[:40]
        raise ValueError(
            f"{source} must tell of each pair whether it is of one identity, got {told}"
        )
    return np.array(flags, dtype=bool)
