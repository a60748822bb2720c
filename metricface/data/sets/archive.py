"""Named arrays on disk as one .npz file that is either whole or absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.files import write_whole


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays of an .npz file, or ``None`` where it is absent, damaged or incomplete.

    Args:
        path: the file.
        names: the arrays wanted; others in the file are left alone.

    Returns:
        One array per name, or ``None``. Pickled objects count as damage.

    Example:
        >>> read_arrays(Path("no such file.npz"), ["images"]) is None
        True
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except Exception:
        # A damaged file may raise almost anything (BadZipFile, zlib.error, KeyError, MemoryError
        # for a senseless shape, …); in every case the file is made again.
        return None


def write_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write arrays to an .npz file that appears whole or not at all; folders are made.

    Args:
        path: the file, replaced where it exists.
        arrays: arrays by name; no objects.

    Raises:
        OSError: the folder cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "new folder", "numbers.npz")
        ...     write_arrays(file, {"one": np.ones(2)})
        ...     read_arrays(file, ["one"])
        {'one': array([1., 1.])}
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    def fill(part: Path) -> None:
        with part.open("wb") as stream:  # given a name, numpy would append its own ending
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    write_whole(path, fill)
