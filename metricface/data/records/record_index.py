"""Where the records of a file begin: from its index, or by going through it once."""

from __future__ import annotations

import warnings
from array import array
from pathlib import Path

import numpy as np

from metricface.data.records.record_array import RecordArray, mapped, part_at


def indexed(path: Path, index: Path) -> RecordArray:
    """The records that an index lists, in the order of their keys.

    Args:
        path: the ``.rec`` file.
        index: lines of a key, a tab, and the byte at which that record begins.

    Raises:
        OSError: a file cannot be read.
        ValueError: no such lines, a key twice, an empty file, or a record beyond its end.
    """
    numbers = np.empty(0, np.int64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns, and gives what it has read until there
            # Three times as fast as a loop over lines, which matters where they are millions.
            numbers = np.fromstring(index.read_text("ascii"), np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise ValueError(
            f"{index} is no index of records, lines of a key, a tab and a byte: {error}"
        ) from error
    if not len(numbers) or len(numbers) % 2:
        raise ValueError(f"{index} holds {len(numbers)} numbers: it is empty, or truncated")
    keys, offsets = numbers[::2], numbers[1::2]
    if (np.diff(keys) <= 0).any():
        order = np.argsort(keys, kind="stable")
        keys, offsets = keys[order], offsets[order]
        twice = keys[1:][np.diff(keys) == 0]
        if len(twice):
            raise ValueError(f"{index} lists record {twice[0]} twice")
    records = RecordArray(path, np.ascontiguousarray(keys), np.ascontiguousarray(offsets))
    records[int(np.argmax(offsets))].content()  # what a download lacks, it lacks at the end
    return records


def scanned(path: Path) -> RecordArray:
    """The records of a file without an index, numbered from 0 as they come.

    Args:
        path: the ``.rec`` file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, damaged or truncated, or in another format.
    """
    data = mapped(path)
    offsets, at = array("q"), 0
    while at < len(data):
        begin, end, part = part_at(data, at)
        where = f"{path}: record {len(offsets)} at byte {at}"
        if begin < 0:
            raise ValueError(f"{where} does not begin as records do: damaged, or another format")
        if end > len(data):
            raise ValueError(f"{where} is to end at byte {end}, but the file ends at {len(data)}")
        if part in (0, 1):  # not a later part of one
            offsets.append(at)
        at = end + -end % 4
    return RecordArray(path, np.arange(len(offsets)), np.frombuffer(offsets, np.int64))
