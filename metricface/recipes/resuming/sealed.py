"""A file of torch that ends with the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Any

import torch

# A file of torch is a zip archive. Its last two bytes are the length of the comment behind it,
# which torch leaves empty. The digest becomes that comment, so torch and zip tools can
# read the file as before.
_MARK = b"sha256 "
_SEAL = 2 + len(_MARK) + 64
_BLOCK = 1 << 20


def save_sealed(state: object, file: Path) -> None:
    """Save with the SHA-256 of what was saved, as one file; ``torch.load`` reads it too.

    Args:
        state: tensors and plain values.
        file: to write.

    Raises:
        OSError: the disk is full.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     save_sealed({"step": 3}, Path(folder, "it.pt"))
        ...     load_sealed(Path(folder, "it.pt")), torch.load(Path(folder, "it.pt"))
        ({'step': 3}, {'step': 3})
    """
    with file.open("w+b") as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:  # torch closes its archive, which says less of what is amiss
            cause = error.__context__
            if isinstance(cause, OSError):
                raise cause from None
            raise
        end = stream.seek(-2, os.SEEK_END)
        seal = _seal(stream, end)
        stream.seek(end)
        stream.write(seal)


def load_sealed(file: Path) -> Any:
    """What was saved, on the CPU, if it is byte for byte what was written.

    Args:
        file: by :func:`save_sealed`.

    Raises:
        ValueError: a bit that differs, a file cut short, or one without a digest.
        Exception: of torch, where the file was sealed but is none of plain values and tensors.
    """
    with file.open("rb") as stream:
        end = max(stream.seek(0, os.SEEK_END) - _SEAL, 0)
        stream.seek(end)
        found = stream.read()
        if found[2 : 2 + len(_MARK)] != _MARK:
            raise ValueError("it ends with no digest: cut short, or of a version before digests")
        if found != _seal(stream, end):
            raise ValueError("it holds other bytes than were written: a disk or a copy spoilt it")
        stream.seek(0)
        return torch.load(stream, map_location="cpu", weights_only=True)


def _seal(stream: IO[bytes], end: int) -> bytes:
    """The comment with its length that belongs behind the first bytes of a file."""
    digest = hashlib.sha256()
    stream.seek(0)
    while end > 0:
        block = stream.read(min(end, _BLOCK))
        if not block:
            break
        digest.update(block)
        end -= len(block)
    comment = _MARK + digest.hexdigest().encode()
    return len(comment).to_bytes(2, "little") + comment
