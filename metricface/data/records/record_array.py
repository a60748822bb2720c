"""Records of an MXNet RecordIO file, by the million, read through a memory map."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.data.images.selection import Indices, selected

MAGIC = 0xCED7230A
"""The first word of a record, and of each of its parts."""

HEADER = 32
"""Bytes from the start of a record to its content: magic, length, flag, label, id, second id."""

_LENGTH = (1 << 29) - 1  # the lower bits of the second word; the upper three say which part it is
_WHOLE, _FIRST, _LAST = 0, 1, 3


class RecordArray:
    """Where the records of a file lie; their bytes are read when asked for.

    A worker process that is forked shares the map of the file, one that is spawned gets the name
    of the file and maps it anew.

    Args:
        path: the ``.rec`` file.
        keys: int64 ``[N]``, the numbers of the records in the index.
        offsets: int64 ``[N]``, the bytes at which they begin.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, or a record would begin outside of it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        keys: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
    ) -> None:
        self.path, self.keys, self.offsets = Path(path), keys, offsets
        self._bytes = mapped(self.path)
        wrong = (offsets < 0) | (offsets % 4 != 0) | (offsets + 8 > len(self._bytes))
        if wrong.any():
            where = self[int(np.argmax(wrong))]
            raise ValueError(
                f"{where} cannot be: the file has {len(self._bytes)} bytes, and records begin at "
                "multiples of 4; it is truncated, or the index is of another file"
            )

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> Record:
        return Record(self, int(self.keys[index]), int(self.offsets[index]))

    def __repr__(self) -> str:
        return f"RecordArray({len(self)} records of {self.path})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_bytes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _bytes=mapped(state["path"]))

    def take(self, indices: Indices) -> RecordArray:
        """The chosen records, in the order given.

        Args:
            indices: integers ``[M]`` in ``-N … N-1``, repeats allowed.

        Raises:
            TypeError: the indices are not integers.
            ValueError: the indices are not one-dimensional.
            IndexError: an index beyond the last record.
        """
        chosen = selected(indices)
        taken = RecordArray.__new__(RecordArray)
        taken.path, taken._bytes = self.path, self._bytes
        taken.keys, taken.offsets = self.keys[chosen], self.offsets[chosen]
        return taken

    def words(self) -> npt.NDArray[np.uint32]:
        """The whole file as words of 4 bytes; nothing is read yet."""
        return self._bytes[: len(self._bytes) // 4 * 4].view("<u4")


@dataclass(frozen=True)
class Record:
    """One record of a file; its text names it."""

    file: RecordArray
    key: int
    offset: int

    def __str__(self) -> str:
        return f"{self.file.path}: record {self.key} at byte {self.offset}"

    def content(self) -> bytes:
        """Everything in the record: its header, more labels, and the encoded image.

        Raises:
            ValueError: no record begins there, or the file ends within it.
        """
        parts: list[bytes] = []
        at = self.offset
        while True:
            begin, end, part = self._part(at, first=not parts)
            parts.append(self.file._bytes[begin:end].tobytes())
            if part in (_WHOLE, _LAST):
                # The writer cuts a record where it holds the magic word, and leaves that out.
                return MAGIC.to_bytes(4, "little").join(parts)
            at = end + -end % 4

    def header(self) -> tuple[int, float, bytes]:
        """The number of labels after the header, the label in it, and what follows.

        Raises:
            ValueError: the record is damaged, or too short for a header.
        """
        content = self.content()
        flag = int.from_bytes(content[:4], "little")
        if len(content) < 24 + 4 * flag:
            raise ValueError(
                f"{self} has {len(content)} bytes, too few for a header and {flag} labels"
            )
        return flag, float(np.frombuffer(content, "<f4", 1, 4)[0]), content[24:]

    def labels(self) -> tuple[float, ...]:
        """Its labels: those after the header, or the one in it.

        Raises:
            ValueError: the record is damaged.
        """
        flag, label, rest = self.header()
        return tuple(np.frombuffer(rest, "<f4", flag).tolist()) if flag else (label,)

    def read_bytes(self) -> bytes:
        """The encoded image.

        Raises:
            ValueError: the record is damaged.
        """
        flag, _, rest = self.header()
        return rest[4 * flag :]

    def _part(self, at: int, *, first: bool) -> tuple[int, int, int]:
        """Where the part at a byte begins and ends, and which part of the record it is."""
        begin, end, part = part_at(self.file._bytes, at)
        if begin < 0:
            raise ValueError(f"{self} does not begin as records do: damaged, or another format")
        if first != (part in (_WHOLE, _FIRST)):
            raise ValueError(f"{self} does not begin with its first part, or lacks its last")
        if end > len(self.file._bytes):
            raise ValueError(
                f"{self} is to end at byte {end}, but the file ends at {len(self.file._bytes)}: "
                "truncated"
            )
        return begin, end, part


def part_at(data: npt.NDArray[np.uint8], at: int) -> tuple[int, int, int]:
    """Begin, end and kind of the part of a record at a byte; a begin of -1 where none is.

    Args:
        data: the bytes of a file.
        at: where the part is to start.

    Example:
        >>> part_at(np.frombuffer(bytes([10, 35, 215, 206, 5, 0, 0, 0]), np.uint8), 0)
        (8, 13, 0)
    """
    head = data[at : at + 8].tobytes()
    if len(head) < 8 or int.from_bytes(head[:4], "little") != MAGIC:
        return -1, -1, -1
    word = int.from_bytes(head[4:], "little")
    return at + 8, at + 8 + (word & _LENGTH), word >> 29


def mapped(path: Path) -> npt.NDArray[np.uint8]:
    """The bytes of a file, mapped read-only.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is empty.
    """
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    return np.memmap(path, np.uint8, "r").view(np.ndarray)
