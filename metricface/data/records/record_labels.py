"""Whose the images of a record file are, without decoding any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metricface.data.records.record_array import HEADER, MAGIC, RecordArray

_BLOCK = 1 << 18  # headers gathered at a time
_EXACT = 1 << 24  # whole numbers below this are exact as float32, which labels are
_SAMPLED = 64


def images_and_labels(records: RecordArray) -> tuple[RecordArray, npt.NDArray[np.int64]]:
    """The records that hold images, and the label of each.

    Where record 0 has two labels, as insightface writes it, the images are the records from 1 to
    before the first label, and those from there to before the second say which images are of one
    identity. That is read where it accounts for every image, because it touches a few pages of the
    file for each identity rather than one for each image.

    Args:
        records: all of a file, in the order of their keys.

    Raises:
        ValueError: a damaged record, an image that is missing, or a label that is no whole number.
    """
    first = records[0]
    if first.key != 0 or len(bounds := first.labels()) < 2 or first.read_bytes():
        return records, header_labels(records)
    begin, end = _whole(bounds[0], str(first)), _whole(bounds[1], str(first))
    if not 1 < begin <= end:
        raise ValueError(f"{first} says that images end at {begin} and identities at {end}")
    if begin >= _EXACT or end > _EXACT:
        # Rounded, in a set of so many images: those with nothing after their labels are no images.
        images = records.take(np.flatnonzero(_sizes(records) > 0))
        return images, header_labels(images)
    images = records.take(_places(records, 1, begin))
    labels = _range_labels(records.take(_places(records, begin, end)), begin)
    if labels is not None and _agree(images, labels):
        return images, labels
    return images, header_labels(images)


def header_labels(records: RecordArray) -> npt.NDArray[np.int64]:
    """The label in the header of every record; the first of several.

    Args:
        records: any.

    Raises:
        ValueError: a damaged record, or a label that is no whole number.
    """
    words = records.words()
    if len(words) <= HEADER // 4:  # a file that is shorter than what is looked at
        words = np.pad(words, (0, HEADER // 4 + 1))
    labels = np.empty(len(records), np.float32)
    for start in range(0, len(records), _BLOCK):
        at = records.offsets[start : start + _BLOCK] // 4
        inside = np.minimum(at, max(len(words) - HEADER // 4 - 1, 0))
        flags = words[inside + 2]
        plain = (words[inside] == MAGIC) & (words[inside + 1] >= 24 + 4 * (flags > 0))
        plain &= (words[inside + 1] < 1 << 29) & (inside == at) & (flags < _EXACT)
        found = words[inside + np.where(flags > 0, HEADER // 4, 3)].view("<f4")
        for odd in np.flatnonzero(~plain).tolist():  # in parts, at the very end, or damaged
            found[odd] = records[start + odd].labels()[0]
        labels[start : start + _BLOCK] = found
    whole = (labels >= 0) & (labels < _EXACT) & (labels == np.floor(labels))
    if not whole.all():
        i = int(np.argmin(whole))
        _whole(float(labels[i]), str(records[i]))
        raise ValueError(f"{records[i]} has the label {labels[i]:.0f}, too large for a float32")
    return labels.astype(np.int64)


def _range_labels(identities: RecordArray, begin: int) -> npt.NDArray[np.int64] | None:
    """Labels of images 1 to ``begin - 1``, or None where the ranges are not those of all."""
    labels = np.full(begin, -1, np.int64)
    counted = 0
    for number in range(len(identities)):
        bounds = identities[number].labels()
        if len(bounds) < 2:
            return None
        low, high = (_whole(bound, str(identities[number])) for bound in bounds[:2])
        if not 1 <= low <= high <= begin:
            raise ValueError(
                f"{identities[number]} says that its images are {low} to {high - 1}, but images "
                f"are 1 to {begin - 1}"
            )
        labels[low:high] = number
        counted += high - low
    return labels[1:] if counted == begin - 1 and labels[1:].min() >= 0 else None


def _agree(images: RecordArray, labels: npt.NDArray[np.int64]) -> bool:
    """Whether some of the images have these labels in their headers too."""
    some = np.unique(np.linspace(0, len(images) - 1, _SAMPLED).astype(np.int64))
    return np.array_equal(header_labels(images.take(some)), labels[some])


def _places(records: RecordArray, low: int, high: int) -> npt.NDArray[np.int64]:
    """Where records ``low … high - 1`` are among those that there are."""
    start, stop = np.searchsorted(records.keys, [low, high])
    if stop - start != high - low:
        wanted = np.arange(low, high)
        missing = wanted[~np.isin(wanted, records.keys[start:stop])][0]
        raise ValueError(
            f"{records.path}: record {missing} is not in the index, but record 0 says that there "
            f"are {low} to {high - 1}"
        )
    return np.arange(start, stop)


def _sizes(records: RecordArray) -> npt.NDArray[np.int64]:
    """Bytes after the labels of each record, as its first part tells."""
    words, at = records.words(), records.offsets // 4
    lengths = np.where(words[at + 1] < 1 << 29, words[at + 1], 1 << 29).astype(np.int64)
    return lengths - 24 - 4 * words[np.minimum(at + 2, len(words) - 1)].astype(np.int64)


def _whole(value: float, where: str) -> int:
    if not (value >= 0 and value == np.floor(value) and np.isfinite(value)):
        raise ValueError(f"{where} has the label {value}, which is no whole number from 0 up")
    return int(value)
