"""Embeddings and labels as they lie in files, and what is wrong with them in one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from metricface.cli.frames import ENDINGS, Columns, read_frame
from metricface.cli.joining import joined_rows
from metricface.cli.tensors import read_tensors

_READ = 1 << 16  # rows checked together
_NAMES = ("embeddings", "labels", "names")  # those of .npz


class Table(NamedTuple):
    """What was read: embeddings, identities, and the files' names if the table has them."""

    embeddings: npt.NDArray[np.floating[Any]]
    labels: npt.NDArray[Any]
    names: list[str] | None


_PLAIN = Columns()


def read_table(
    embeddings: Path,
    labels: Path | None,
    columns: Columns = _PLAIN,
    *,
    labels_needed: bool = True,
) -> Table:
    """Read embeddings and labels.

    ``.npy`` holds one array and stays on disk; ``.npz`` holds arrays called ``embeddings``,
    ``labels`` and ``names``; ``.pt``, or ``.pth``, holds a tensor or a dict of such names;
    ``.csv``, ``.tsv`` and ``.parquet`` hold a column of labels, perhaps one of names, and otherwise
    numbers only, or one column of lists. Nothing is ever unpickled but tensors and plain values.
    Labels of a file of their own belong to the rows as they lie, or to the names where both files
    have some.

    Args:
        embeddings: a file of one of these kinds.
        labels: a separate file; None if the first holds them.
        columns: which columns of a table are what.
        labels_needed: whether missing labels are an error.

    Raises:
        ValueError: whatever is wrong with a file, with its name and the row.
        OSError: a file cannot be read.
        ImportError: pandas, or what it reads parquet with, is missing.
    """
    if columns.dimensions is not None and embeddings.suffix.lower() not in ENDINGS:
        raise ValueError(f"--columns is for .csv and .parquet, {embeddings} has no columns")
    inside = labels_needed and labels is None
    parts = _read(embeddings, columns, labels_needed=inside)
    if inside and "labels" not in parts:
        raise ValueError(f"{embeddings} holds no labels: name a file of labels with --labels")
    if "embeddings" not in parts:
        raise ValueError(f"{embeddings} holds no embeddings, only {', '.join(parts) or 'nothing'}")
    x = _checked(parts["embeddings"], embeddings)
    names = _names(parts, len(x), embeddings, "embeddings")
    if labels is None:
        return Table(x, _labels(parts, embeddings, x, embeddings, needed=labels_needed), names)
    of = _read(labels, columns, only_labels=True)
    if "labels" not in of:
        raise ValueError(f"{labels} holds no array called labels, only {', '.join(of)}")
    known = _labels(of, labels, x, embeddings, needed=labels_needed)
    theirs = _names(of, len(known), labels, "labels")
    if names is not None and theirs is not None:
        known = known[joined_rows(names, embeddings, theirs, labels)]
    return Table(x, known, names)


def _labels(
    parts: dict[str, npt.NDArray[Any]],
    source: Path,
    x: npt.NDArray[Any],
    embeddings: Path,
    *,
    needed: bool,
) -> npt.NDArray[Any]:
    """The labels, if they are one for each embedding, or none that are needed."""
    known = _as_text(parts.get("labels", np.empty(0, dtype=np.int64)), source, "labels")
    if known.ndim != 1 or known.dtype.kind not in "biuUO":
        raise ValueError(
            f"{source} must hold one integer or string per row as labels, got {known.dtype} of "
            f"shape {known.shape}"
        )
    if len(known) != len(x) and (needed or len(known)):
        raise ValueError(
            f"{embeddings} holds {len(x)} embeddings but {source} holds {len(known)} labels"
        )
    return known


def _names(parts: dict[str, npt.NDArray[Any]], count: int, file: Path, of: str) -> list[str] | None:
    """The names, if they are one for each row; None if there are none."""
    if "names" not in parts:
        return None
    names = _as_text(parts["names"], file, "names")
    if names.ndim != 1 or names.dtype.kind not in "iuUO":
        raise ValueError(
            f"{file} must hold one string per row as names, got {names.dtype} of shape "
            f"{names.shape}"
        )
    if len(names) != count:
        raise ValueError(f"{file} holds {count} {of} but {len(names)} names")
    return [str(name) for name in names]


def _as_text(array: npt.NDArray[Any], file: Path, what: str) -> npt.NDArray[Any]:
    """Bytes as the text they are; anything else as it is."""
    try:
        return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: {what} are bytes that are no UTF-8: save strings") from error


def _read(
    file: Path, columns: Columns, *, labels_needed: bool = True, only_labels: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file by name."""
    kind = file.suffix.lower()
    if kind not in (".npy", ".npz", ".pt", ".pth", *ENDINGS):
        raise ValueError(f"{file} must end in .npy, .npz, .pt, .pth, .csv, .tsv or .parquet")
    if not file.is_file():
        raise ValueError(f"{file} does not exist" if not file.exists() else f"{file} is no file")
    if kind == ".npy":
        return {"labels": np.asarray(_npy(file))} if only_labels else {"embeddings": _npy(file)}
    if kind == ".npz":
        return _npz(file)
    if kind in (".pt", ".pth"):
        return read_tensors(file, alone="labels" if only_labels else "embeddings")
    return read_frame(file, columns, labels_needed=labels_needed, only_labels=only_labels)


def _npy(file: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(_damage(error, file, "it", ".npy")) from error
    return array


def _npz(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # numpy leaves the file of a path open if it is no archive; a stream is closed here.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in _NAMES if name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, OSError, KeyError) as error:
        raise ValueError(_damage(error, file, "an array in it", ".npz")) from error


def _damage(error: BaseException, file: Path, what: str, kind: str) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if line.startswith("Object arrays") or "Python objects in dtype" in line:
        return (
            f"{file}: {what} is an array of Python objects (dtype=object), which would have to be "
            "unpickled: save integers or strings, np.array(labels.tolist()), as labels, and "
            "numbers, np.stack(rows).astype('float32'), as embeddings"
        )
    return f"{file} is damaged or no {kind} file: {line}"


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
