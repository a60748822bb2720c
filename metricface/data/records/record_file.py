"""A set of images in a record file, as insightface distributes them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metricface.data.images.encoded_images import EncodedImages, Transform
from metricface.data.images.identity_labels import named_identities, warn_without_pairs
from metricface.data.records.record_array import RecordArray
from metricface.data.records.record_index import indexed, scanned
from metricface.data.records.record_labels import images_and_labels


class ImageRecords(EncodedImages):
    """Images in a record file with one identity each; a dataset that decodes what is asked for.

    It does what :class:`ImageFiles` does; :func:`record_file` makes it.

    Args:
        records: ``N`` records.
        labels: int64 ``[N]``, each in ``0 … C-1``; not every identity needs an image.
        names: the ``C`` names.
        size: height and width to stretch the images to; ``None`` leaves them as they are.
        colour: red, green, blue rather than grey.
        transform: as of :class:`ImageFiles`.

    Raises:
        ValueError: not as many labels as records, a label without a name, or a size below 1.
        ImportError: Pillow is not installed.
    """

    _kind = "records"

    def __init__(
        self,
        records: RecordArray,
        labels: npt.NDArray[np.int64],
        names: tuple[str, ...],
        *,
        size: tuple[int, int] | None = None,
        colour: bool = False,
        transform: Transform | None = None,
    ) -> None:
        self._records = records
        super().__init__(records, labels, names, size=size, colour=colour, transform=transform)

    @property
    def records(self) -> RecordArray:
        """Where each image lies, in the order of the images."""
        return self._records


def record_file(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    colour: bool = False,
    transform: Transform | None = None,
) -> ImageRecords:
    """The images of an MXNet record file: ``train.rec``, with its index ``train.idx``.

    Both forms are read: insightface's, whose record 0 tells which records are images and which
    tell the images of each identity, and that of ``im2rec``, where every record is an image.
    Without an index beside it the file is gone through once. The images are JPEG or PNG files
    within the file; ``colour=True`` gives them as red, green, blue, never the other way round. A
    file ``property`` beside it is compared with what is found.

    Args:
        path: the ``.rec``, the ``.idx``, or the folder in which ``train.rec`` lies.
        size: height and width to stretch the images to; ``None`` leaves them as they are.
        colour: red, green, blue rather than grey. insightface's networks take colour.
        transform: changes each image when it is asked for; see :class:`ImageFiles`.

    Returns:
        A dataset that decodes what is asked for. Its names are the numbers that the file gives to
        identities.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a truncated, damaged or empty file, or one in another format; the message names
            the record and the byte at which it begins.
        ImportError: Pillow is not installed.

    Warns:
        UserWarning: no identity has a second image, or ``property`` tells another number of them.

    Example:
        >>> import struct, tempfile
        >>> file = Path(tempfile.mkdtemp()) / "train.rec"
        >>> def record(label, image):
        ...     content = struct.pack("<IfQQ", 0, label, 0, 0) + image
        ...     return struct.pack("<II", 0xCED7230A, len(content)) + content.ljust(
        ...         len(content) + -len(content) % 4)
        >>> image = b"P5 1 1 255 " + bytes([51])
        >>> length = file.write_bytes(record(7, image) + record(7, image))
        >>> people = record_file(file)
        >>> people
        ImageRecords(2 image records, 1 identities)
        >>> people[1], people.names
        ((tensor([[[0.2000]]]), 0), ('7',))
    """
    given = Path(path).expanduser()
    rec = given / "train.rec" if given.is_dir() else given.with_suffix(".rec")
    if not rec.is_file():
        raise FileNotFoundError(f"there is no {rec}: give a .rec file, or the folder of train.rec")
    index = rec.with_suffix(".idx")
    if given.suffix == ".idx" and not index.is_file():
        raise FileNotFoundError(f"there is no {index}")
    images, numbers = images_and_labels(indexed(rec, index) if index.is_file() else scanned(rec))
    labels, names = named_identities(numbers)
    _compare_property(rec.with_name("property"), len(names))
    warn_without_pairs(labels, rec)
    return ImageRecords(images, labels, names, size=size, colour=colour, transform=transform)


def _compare_property(file: Path, identities: int) -> None:
    if not file.is_file():
        return
    said = file.read_bytes()[:100].split(b",")[0].strip().decode("ascii", "replace")
    if said != str(identities):
        warnings.warn(
            f"{file} tells of {said} identities, but the records are of {identities}", stacklevel=3
        )
