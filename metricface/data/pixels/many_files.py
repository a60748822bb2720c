"""Decodes many image files, in this process or in several, and names every broken one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from metricface.data.pixels.decoding import Encoded, read_image
from metricface.progress import with_progress

Outcome: TypeAlias = "npt.NDArray[np.uint8] | str"
"""The pixels of a file, or what is wrong with it."""

Broken: TypeAlias = Literal["error", "skip"]
"""What to do with files that are no readable images: raise once all are known, or warn."""

_BATCH = 16  # files given to a worker at a time
_NAMED = 3


class EncodedSequence(Protocol):
    """Places of encoded images, asked for by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Encoded: ...


class _Reading(Dataset["list[Outcome]"]):
    """What worker processes do: files to outcomes."""

    def __init__(
        self, paths: EncodedSequence, size: tuple[int, int] | None, *, colour: bool
    ) -> None:
        self._paths, self._size, self._colour = paths, size, colour

    def __len__(self) -> int:
        return len(self._paths)

    def __getitems__(self, indices: Sequence[int]) -> list[Outcome]:
        return [self._read(self._paths[i]) for i in indices]

    def _read(self, path: Encoded) -> Outcome:
        try:
            return read_image(path, size=self._size, colour=self._colour)
        except ValueError as error:
            return str(error)


def readable(
    paths: EncodedSequence,
    *,
    size: tuple[int, int] | None,
    colour: bool,
    broken: Broken,
    workers: int,
    progress: bool,
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The files that are images, in their order; after the last, what is wrong with the others.

    Args:
        paths: ``N`` files.
        size: height and width to resample to; ``None`` leaves them.
        colour: red, green, blue rather than grey.
        broken: what becomes of the others.
        workers: processes that decode; 0 decodes here.
        progress: show a bar; needs tqdm.

    Yields:
        The place of a file and its pixels, ``[H, W]`` or ``[H, W, 3]``.

    Raises:
        ValueError: some files are broken, and that is to be an error.
        OSError: a file cannot be read.
        ImportError: tqdm is wanted and missing.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "one.pgm"
        >>> length = file.write_bytes(b"P5 1 1 255 " + bytes([7]))
        >>> how = {"broken": "error", "workers": 0, "progress": False}
        >>> list(readable([file], size=None, colour=False, **how))
        [(0, array([[7]], dtype=uint8))]
    """
    if broken not in ("error", "skip"):
        raise ValueError(f"broken must be 'error' or 'skip', got {broken!r}")
    loader = DataLoader(
        _Reading(paths, size, colour=colour),
        batch_size=_BATCH,
        num_workers=workers,
        collate_fn=_as_it_is,  # arrays go through a pipe: shared memory is scarce in containers
        generator=torch.Generator(),  # without one, it would draw from the global generator
    )
    each = (outcome for batch in loader for outcome in batch)
    wrong = []
    for i, outcome in enumerate(
        with_progress(each, "decoding images", shown=progress, total=len(paths))
    ):
        if isinstance(outcome, str):
            wrong.append(outcome)
        else:
            yield i, outcome
    if wrong:
        sentence = _account(wrong, len(paths))
        if broken == "error":
            raise ValueError(sentence)
        # Level 3 is the caller of the method that runs through this generator.
        warnings.warn(f"left out: {sentence}", stacklevel=3)


def _account(wrong: list[str], count: int) -> str:
    """How many files are broken, and what is wrong with the first of them."""
    more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return f"{len(wrong)} of {count} files broken: {'; '.join(wrong[:_NAMED])}{more}"


def _as_it_is(batch: list[Outcome]) -> list[Outcome]:
    return batch
