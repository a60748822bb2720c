"""Embeddings and labels as they lie in files, and what is wrong with them in one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_READ = 1 << 16  # rows checked together
_NAMES = ("embeddings", "labels", "names")


class Labelled(NamedTuple):
    """What was read: embeddings, identities, and the files' names if the table has them."""

    embeddings: npt.NDArray[np.floating[Any]]
    labels: npt.NDArray[Any]
    names: list[str] | None


def read_labelled(embeddings: Path, labels: Path | None, *, labels_needed: bool = True) -> Labelled:
    """Read embeddings and labels.

    ``.npy`` holds one array and stays on disk; ``.npz`` holds arrays called ``embeddings``,
    ``labels`` and ``names``; ``.csv`` and ``.parquet`` hold a column ``label``, perhaps a column
    ``name``, and else numbers only. Nothing is ever unpickled.

    Args:
        embeddings: a file of one of these kinds.
        labels: a file of its own; None where the first holds them.
        labels_needed: whether there is an error without labels.

    Raises:
        ValueError: whatever is wrong with a file, with its name and the row.
        OSError: a file cannot be read.
        ImportError: pandas, or what it reads parquet with, is missing.
    """
    parts = _read(embeddings)
    if "embeddings" not in parts:
        raise ValueError(f"{embeddings} holds no embeddings, only {', '.join(parts) or 'nothing'}")
    x = _checked(parts["embeddings"], embeddings)
    if labels is not None:
        of = _read(labels, only_labels=True)
        parts["labels"] = of["labels"] if "labels" in of else of["embeddings"]
    source = embeddings if labels is None else labels
    if "labels" not in parts:
        if labels_needed:
            raise ValueError(f"{source} holds no labels: name a file of labels with --labels")
        parts["labels"] = np.empty(0, dtype=np.int64)
    known = parts["labels"]
    if known.ndim != 1 or known.dtype.kind not in "biuUSO":
        raise ValueError(
            f"{source} must hold one integer or string per row as labels, got {known.dtype} of "
            f"shape {known.shape}"
        )
    if len(known) != len(x) and (labels_needed or len(known)):
        raise ValueError(
            f"{embeddings} holds {len(x)} embeddings but {source} holds {len(known)} labels"
        )
    names = parts.get("names")
    return Labelled(x, known, None if names is None else [str(name) for name in names])


def _read(file: Path, *, only_labels: bool = False) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file by name."""
    readers = {".npy": _npy, ".npz": _npz, ".csv": _frame, ".parquet": _frame}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise ValueError(f"{file} must end in .npy, .npz, .csv or .parquet")
    if not file.is_file():
        raise ValueError(f"{file} does not exist" if not file.exists() else f"{file} is no file")
    parts = reader(file)
    if only_labels and file.suffix.lower() == ".npy":
        return {"labels": np.asarray(parts["embeddings"])}
    return parts


def _npy(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        return {"embeddings": np.load(file, mmap_mode="r", allow_pickle=False)}
    except (ValueError, EOFError) as error:
        raise ValueError(f"{file} is damaged or no .npy file: {_first_line(error)}") from error


def _npz(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # numpy leaves a path open where it is no archive; a stream is closed here.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in _NAMES if name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, OSError, KeyError) as error:
        raise ValueError(f"{file} is damaged or no .npz file: {_first_line(error)}") from error


def _frame(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"reading {file} needs pandas: pip install 'metricface[tables]'"
        ) from error
    try:
        if file.suffix.lower() == ".csv":
            # Labels and names as they stand: 007 and 7 may be two people.
            frame = pd.read_csv(file, dtype={"label": str, "name": str}, keep_default_na=False)
        else:
            frame = pd.read_parquet(file)
    except ImportError as error:
        raise ImportError(f"reading {file} needs pyarrow: pip install pyarrow") from error
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} is damaged: {_first_line(error)}") from error
    parts: dict[str, npt.NDArray[Any]] = {}
    for column, name in (("label", "labels"), ("name", "names")):
        if column in frame:
            parts[name] = _column(frame.pop(column))
    numbers = frame.apply(pd.to_numeric, errors="coerce")
    if frame.shape[1]:
        wrong = (numbers.isna() & ~frame.isin(["nan", "NaN"])).to_numpy()
        if wrong.any():
            row, place = (int(found[0]) for found in wrong.nonzero())
            value = frame.iloc[row, place]
            raise ValueError(
                f"{file}, row {row}: column {frame.columns[place]!r} is no number: {value!r}"
            )
        parts["embeddings"] = numbers.to_numpy(dtype=np.float32)
    return parts


def _column(values: Any) -> npt.NDArray[Any]:
    """A column of labels as integers if all of it are, else as strings."""
    array = values.to_numpy()
    if array.dtype.kind in "iu":
        return np.asarray(array)
    text = np.array([str(value) for value in array.tolist()], dtype=str)
    plain = all(value.lstrip("-").isdigit() and str(int(value)) == value for value in text.tolist())
    if plain and len(text) and max(len(value) for value in text.tolist()) < 19:
        return text.astype(np.int64)
    return text


def _checked(x: npt.NDArray[Any], file: Path) -> npt.NDArray[np.floating[Any]]:
    """The embeddings, if they are a finite matrix of floating-point numbers."""
    if x.ndim != 2 or x.dtype.kind != "f":
        raise ValueError(
            f"{file} must hold floating-point embeddings [rows, dim], got {x.dtype} of shape "
            f"{x.shape}"
        )
    if 0 in x.shape:
        raise ValueError(f"{file} holds no embeddings: its shape is {x.shape}")
    for start in range(0, len(x), _READ):
        bad = np.flatnonzero(~np.isfinite(x[start : start + _READ]).all(axis=1))
        if len(bad):
            raise ValueError(f"{file}, row {start + int(bad[0])}: NaN or infinity")
    return x


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
