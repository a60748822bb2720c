"""Tables of numbers, as pandas and others write them, and which of their columns are meant."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".tsv", ".parquet")
"""Of the files that hold tables, in lower case."""

_RANGE = re.compile(r"(?P<stem>.*?)(?P<first>\d+)-(?P=stem)(?P<last>\d+)")
_NUMBERED = re.compile(r"(?P<stem>.*?)\d+")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # fits into 64 bits, and is written in one way only
_UNEVEN = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_SHOWN = 6

_NAME = "name"


class Columns(NamedTuple):
    """Which columns of a table are what."""

    label: str = "label"
    """The identity."""
    name: str = _NAME
    """The name of the image, if there is such a column."""
    dimensions: str | None = None
    """The dimensions, as :func:`listed_columns` reads them; None: all the others."""


def read_frame(
    file: Path, columns: Columns, *, labels_needed: bool = True, only_labels: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a ``.csv``, ``.tsv`` or ``.parquet`` file by name: embeddings, labels, names.

    Args:
        file: the table.
        columns: which of its columns are what.
        labels_needed: whether missing labels are an error.
        only_labels: whether the other columns do not matter.

    Raises:
        ValueError: a damaged file, a column that is missing, or one that need not be a dimension.
        ImportError: pandas, or what it reads parquet with, is missing.
    """
    frame = _read(file, columns)
    known = [str(name) for name in frame]
    parts: dict[str, npt.NDArray[Any]] = {}
    for column, name in ((columns.label, "labels"), (columns.name, "names")):
        if column in frame:
            parts[name] = _column(frame.pop(column), file)
    if labels_needed and "labels" not in parts:
        raise ValueError(
            f"{file} holds no labels: it has no column {columns.label!r}; name that of the "
            "identities with --label-column, or a file of labels with --labels; "
            f"{shown(known)}"
        )
    if columns.name != _NAME and "names" not in parts:
        raise ValueError(f"{file} has no column {columns.name!r}; {shown(known)}")
    if only_labels:
        return parts
    if columns.dimensions is not None:
        frame = frame[listed_columns(columns.dimensions, [str(name) for name in frame], file)]
    elif not frame.shape[1]:
        return parts
    lists = [
        name for name in frame if isinstance(frame[name].iloc[:1].squeeze(), np.ndarray | list)
    ]
    if lists:
        parts["embeddings"] = _stacked(frame, str(lists[0]), file)
        return parts
    numbers = _numbers(frame, file)
    if columns.dimensions is None:
        _refuse_doubtful({str(name): numbers[name].to_numpy() for name in numbers}, file)
    parts["embeddings"] = numbers.to_numpy(dtype=np.float32)
    return parts


def listed_columns(listed: str, known: list[str], file: Path) -> list[str]:
    """The columns that a list such as ``e0-e127`` or ``x,y,z0-z9`` names.

    Args:
        listed: names and ranges of numbered names, separated by commas.
        known: the columns there are.
        file: where, for the error.

    Raises:
        ValueError: a column that is missing or is named twice.

    Example:
        >>> listed_columns("b,e1-e2", ["a", "b", "e1", "e2"], Path("x.csv"))
        ['b', 'e1', 'e2']
    """
    names: list[str] = []
    for part in (part.strip() for part in listed.split(",")):
        numbered = None if part in known else _RANGE.fullmatch(part)
        if numbered is None:
            names.append(part)
        else:
            stem, first, last = numbered["stem"], numbered["first"], numbered["last"]
            width = len(first) if first.startswith("0") else 0
            names += [f"{stem}{n:0{width}d}" for n in range(int(first), int(last) + 1)]
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise ValueError(
            f"--columns {listed}: {file} has no column {(missing or [''])[0]!r} besides labels and "
            f"names; {shown(known)}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"--columns {listed} names a column twice")
    return names


def shown(columns: list[str]) -> str:
    """The columns in a few words.

    Example:
        >>> shown(["e0", "e1", "e2"])
        'its columns are e0, e1, e2'
    """
    names = [repr(name) if not str(name).strip() else str(name) for name in columns]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 2], "…", names[-1]]
    return f"its columns are {', '.join(names)}" if names else "it has no others"


def _read(file: Path, columns: Columns) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"reading {file} needs pandas: pip install 'metricface[tables]'"
        ) from error
    if file.suffix.lower() != ".parquet":
        return _delimited(file, columns)
    try:
        frame = pd.read_parquet(file)
    except ImportError as error:
        raise ImportError(f"reading {file} needs pyarrow: pip install pyarrow") from error
    except (ValueError, OSError) as error:
        raise _damage(file, error) from error
    # pandas reads a column that it wrote as an index as one again; labels may be there.
    kept = [name for name in frame.index.names if name in (columns.label, columns.name)]
    frame = frame.reset_index(kept) if kept else frame
    named: pd.DataFrame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    return named


def _delimited(file: Path, columns: Columns) -> pd.DataFrame:
    """A table in lines of text, of which each has as many fields as the header."""
    import pandas as pd

    separator = _separator(file)
    # Labels and names as they stand: 007 and 7 may be two people.
    text = dict.fromkeys((columns.label, columns.name), str)
    try:
        frame = pd.read_csv(file, sep=separator, dtype=text, keep_default_na=False)
    except ValueError as error:
        if (found := _UNEVEN.search(str(error))) is not None:
            raise _uneven(file, f"line {found[2]}", int(found[3]), int(found[1])) from error
        raise _damage(file, error) from error
    if len(frame) and not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the first fields of rows that are longer than the header for an index.
        width = frame.shape[1]
        raise _uneven(file, "row 0", width + frame.index.nlevels, width)
    if columns.label in frame:
        frame[columns.label] = frame[columns.label].str.strip()
    return frame


def _separator(file: Path) -> str:
    """What separates the fields: a comma, unless the ending or the header leaves no doubt."""
    with file.open("rb") as stream:
        header = next((line for line in stream if line.strip()), b"")
    if header.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{file} is UTF-16 text: save it as UTF-8")
    if file.suffix.lower() == ".tsv":
        return "\t"
    found = [mark for mark in (";", "\t") if mark.encode() in header and b"," not in header]
    return found[0] if len(found) == 1 else ","


def _uneven(file: Path, where: str, fields: int, header: int) -> ValueError:
    return ValueError(
        f"{file} is damaged: {where} has {fields} fields, the header {header}; a label or name "
        "that holds the separator must stand in quotes"
    )


def _damage(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file} is damaged: {str(error).strip().splitlines()[0]}")


def _column(values: Any, file: Path) -> npt.NDArray[Any]:
    """A column of labels as integers if all of it are, else as strings."""
    array = values.to_numpy()
    if array.dtype.kind in "iu":
        return np.asarray(array)
    text = np.array([str(value) for value in array.tolist()], dtype=str)
    empty = np.flatnonzero(np.asarray(values.isna()) | (np.char.strip(text) == ""))
    if len(empty):
        raise ValueError(f"{file}, row {empty[0]}: column {values.name!r} is empty")
    whole = len(text) > 0 and all(_WHOLE.fullmatch(value) for value in text.tolist())
    return text.astype(np.int64) if whole else text


def _stacked(frame: pd.DataFrame, name: str, file: Path) -> npt.NDArray[Any]:
    """A column that holds a whole embedding in each row; it has to be the only one meant."""
    if frame.shape[1] > 1:
        others = [str(other) for other in frame if other != name]
        raise ValueError(
            f"{file}: column {name!r} holds a list in each row, and there is also {others[0]!r}: "
            f"name the one that is the embeddings with --columns, such as --columns {name}"
        )
    rows = [np.asarray(row) for row in frame[name]]
    first = rows[0]
    for number, row in enumerate(rows):
        if row.shape != first.shape or row.ndim != 1 or row.dtype.kind not in "fiu":
            raise ValueError(
                f"{file}, row {number}: column {name!r} must hold a list of {first.size} numbers, "
                f"got {row.dtype} of shape {row.shape}"
            )
    return np.stack(rows).astype(np.float32)


def _numbers(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The columns as numbers, or an error that names the first that is not numeric."""
    import pandas as pd

    frame = frame.astype({name: "int8" for name in frame if frame[name].dtype.kind == "b"})
    numbers: pd.DataFrame = frame.apply(pd.to_numeric, errors="coerce")
    wrong = (numbers.isna() & ~frame.isin(["nan", "NaN"])).to_numpy()
    if wrong.any():
        row, place = (int(found[0]) for found in wrong.nonzero())
        raise ValueError(
            f"{file}, row {row}: column {frame.columns[place]!r} is no number: "
            f"{frame.iloc[row, place]!r}; columns that are no dimensions are left out with "
            "--columns, --label-column and --name-column"
        )
    return numbers


def _refuse_doubtful(numbers: dict[str, npt.NDArray[Any]], file: Path) -> None:
    """Raise if a column need not be a dimension, as row numbers or a number beside a series."""
    series = _series(list(numbers))
    fractions = any(values.dtype.kind == "f" for values in numbers.values())
    why = {}
    for name, values in numbers.items():
        if not name.strip() or re.fullmatch(r"Unnamed: \d+|__index_level_\d+__", name):
            why[name] = "has no name of its own, as the index that pandas writes"
        elif _counts(values):
            why[name] = "counts the rows"
        elif fractions and values.dtype.kind != "f":
            why[name] = "holds whole numbers, the others do not"
        elif name not in series:
            why[name] = f"is not numbered as {series[0]} to {series[-1]} are"
    if why:
        first, reason = next(iter(why.items()))
        more = f" (and {len(why) - 1} more such)" if len(why) > 1 else ""
        rest = [name for name in numbers if name not in why]
        raise ValueError(
            f"{file}: column {first!r} {reason}{more}: is it a dimension of the embeddings? Name "
            f"the dimensions with --columns{_example(rest)}; --label-column names the identities, "
            "--name-column the images"
        )


def _series(names: list[str]) -> list[str]:
    """The columns of one numbered series if more than half are of it, else all."""
    found = [_NUMBERED.fullmatch(name) for name in names]
    stems = Counter(match["stem"] for match in found if match is not None)
    stem, count = stems.most_common(1)[0] if stems else ("", 0)
    if count < 2 or 2 * count <= len(names):
        return names
    pairs = zip(names, found, strict=True)
    return [name for name, match in pairs if match is not None and match["stem"] == stem]


def _counts(values: npt.NDArray[Any]) -> bool:
    """Whether values are row numbers: each one more, or one less, than the one before."""
    steps = np.diff(values.astype(np.float64))
    return (
        len(steps) > 1
        and values[0] % 1 == 0
        and abs(steps[0]) == 1
        and bool((steps == steps[0]).all())
    )


def _example(names: list[str]) -> str:
    """What to write after ``--columns`` for these, if it is short."""
    if len(names) > 1:
        spec = f"{names[0]}-{names[-1]}"
        try:
            if listed_columns(spec, names, Path()) == names:
                return f" {spec}"
        except ValueError:
            pass
    return f" {','.join(names)}" if 0 < len(names) <= _SHOWN else ""
