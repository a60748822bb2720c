"""Images listed in a CSV file with the identity of each."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from metricface.data.images.encoded_images import Transform
from metricface.data.images.identity_labels import named_identities, warn_without_pairs
from metricface.data.images.image_files import ImageFiles
from metricface.data.layouts.notes import is_note, warn_of_notes

_NAMED = 3


class _Row(NamedTuple):
    line: int
    path: str
    label: str


def image_list(
    file: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    size: tuple[int, int] | None = None,
    colour: bool = False,
    path_column: str = "path",
    label_column: str = "label",
    delimiter: str = ",",
    transform: Transform | None = None,
) -> ImageFiles:
    r"""The images that a CSV file lists, one per line, with the identity of each.

    Its first line names the columns, ``path`` and ``label`` among them; others are ignored.
    Files that macOS leaves beside images, ``._1.jpg``, are passed over and counted.
    Labels are strings: ``007`` and ``7`` are two identities. Identities are numbered in the sorted
    order of their labels, and images come in the order of the lines.

    Args:
        file: UTF-8 text.
        root: folder the paths start from; ``None`` takes the one of the file.
        size: height and width to stretch the images to; ``None`` leaves them as they are, and
            those of a batch must then be of one size.
        colour: red, green, blue rather than grey.
        path_column: what the first line calls the paths.
        label_column: what it calls the identities.
        delimiter: what stands between the columns, one character: ``"\t"`` in .tsv files.
        transform: changes each image, float32 ``[1 or 3, H, W]``, when it is asked for.

    Returns:
        A dataset that decodes what is asked for; :meth:`ImageFiles.load` decodes everything. Its
        names are the labels.

    Raises:
        FileNotFoundError: the list, or files that it names, with their lines.
        ValueError: no such columns, no line, a row with more columns than the first line names
            (a comma in a label wants quotes) or over several lines, a quote that is not closed,
            an empty path or label, or a file with two labels.
        ImportError: Pillow is not installed.

    Warns:
        UserWarning: no identity has a second image; a file is listed more than once; files of
            macOS were passed over.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> length = (folder / "1.pgm").write_bytes(b"P5 1 1 255 " + bytes([7]))
        >>> length = (folder / "2.pgm").write_bytes(b"P5 1 1 255 " + bytes([8]))
        >>> length = (folder / "faces.csv").write_text("path,label\n1.pgm,anna\n2.pgm,anna\n")
        >>> image_list(folder / "faces.csv")
        ImageFiles(2 image files, 1 identities)
    """
    source = Path(file).expanduser()
    listed = list(_rows(source, path_column, label_column, delimiter))
    rows = [row for row in listed if not is_note(row.path)]
    warn_of_notes(len(listed) - len(rows), source)
    if not rows:
        raise ValueError(f"{source} lists no image")
    folder = source.parent if root is None else Path(root).expanduser()
    paths = [folder / row.path for row in rows]
    _check_files(source, rows, paths)
    labels, names = named_identities([row.label for row in rows])
    warn_without_pairs(labels, source)
    return ImageFiles(paths, labels, names, size=size, colour=colour, transform=transform)


def _rows(source: Path, path_column: str, label_column: str, delimiter: str) -> Iterator[_Row]:
    if len(delimiter) != 1:
        raise ValueError(f"delimiter must be one character, got {delimiter!r}")
    if path_column == label_column:
        raise ValueError(f"path_column and label_column are both {path_column!r}")
    # Spreadsheets begin their UTF-8 with a byte order mark.
    with source.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        line = 1
        try:
            columns = [name.strip() for name in next(reader, [])]
            for name in (path_column, label_column):
                if columns.count(name) != 1:
                    raise ValueError(
                        f"the first line of {source} must name one column {name!r}, got {columns}; "
                        "others are named with path_column= and label_column=, and what stands "
                        "between them with delimiter="
                    )
            path, label = columns.index(path_column), columns.index(label_column)
            line = reader.line_num + 1
            for values in reader:
                if any(values[len(columns) :]):
                    raise ValueError(
                        f"line {line} of {source} has {len(values)} columns, the first line "
                        f"{len(columns)}: what holds a {delimiter!r} must stand in quotes: {values}"
                    )
                if values:
                    yield _row(source, line, values, path, label)
                line = reader.line_num + 1
        except UnicodeDecodeError as error:
            raise ValueError(f"{source} is not UTF-8 text: {error}") from error
        except csv.Error as error:
            raise ValueError(f"line {line} of {source}: {error}") from error


def _row(source: Path, line: int, values: list[str], path: int, label: int) -> _Row:
    if len(values) <= max(path, label):
        raise ValueError(f"line {line} of {source} has only {len(values)} columns: {values}")
    row = _Row(line, values[path].strip(), values[label].strip())
    if not row.path or not row.label:
        raise ValueError(f"line {line} of {source} lacks a path or a label: {values}")
    if "\n" in row.path + row.label:
        raise ValueError(f"line {line} of {source} goes on over several lines: {values}")
    return row


def _check_files(source: Path, rows: list[_Row], paths: list[Path]) -> None:
    lost = [(row.line, path) for row, path in zip(rows, paths, strict=True) if not path.is_file()]
    if lost:
        listed = ", ".join(f"{path} (line {line})" for line, path in lost[:_NAMED])
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        raise FileNotFoundError(f"{source} names files that are missing: {listed}{more}")
    first: dict[str, _Row] = {}
    again: list[str] = []
    for row, path in zip(rows, paths, strict=True):
        before = first.setdefault(os.path.normpath(path), row)
        if before is not row:
            again.append(f"{row.path} (lines {before.line} and {row.line})")
        if before.label != row.label:
            raise ValueError(
                f"{source} gives {row.path} two labels: {before.label!r} in line {before.line} "
                f"and {row.label!r} in line {row.line}"
            )
    if again:
        warnings.warn(
            f"{source} lists {len(again)} files twice or more: {', '.join(again[:_NAMED])}; an "
            "image and itself make a pair of one identity",
            stacklevel=3,
        )
