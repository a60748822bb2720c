"""Landmarks from a CSV file."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

POINTS = tuple(f"{axis}{number}" for number in range(1, 6) for axis in "xy")
"""Columns of tables, x1 to y5."""
_PATHS = ("photograph", "path", "file", "name")

ANY_NAME = "surrogateescape"
"""How tables hold names of files that are no UTF-8: byte for byte, as Python takes such names."""


def read_landmarks(file: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Five points of each photograph, from a CSV file with a header.

    The path stands in the column ``photograph`` (or ``path``, ``file``, ``name``), the points in
    ``x1, y1 … x5, y5``: left eye, right eye, nose, left and right corner of the mouth, as the
    viewer sees them. The table that :func:`align_folder` writes is such a file; rows of it without
    points are passed over.

    Args:
        file: UTF-8.

    Returns:
        Points ``[5, 2]`` by path.

    Raises:
        ValueError: columns are missing, a row's points are no numbers, or a path stands twice;
            the line is named.
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "points.csv"
        >>> header = "path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5"
        >>> row = "anna.jpg,80,80,120,80,100,100,85,125,115,125"
        >>> length = file.write_text(header + chr(10) + row)
        >>> read_landmarks(file)["anna.jpg"].tolist()
        [[80.0, 80.0], [120.0, 80.0], [100.0, 100.0], [85.0, 125.0], [115.0, 125.0]]
    """
    points: dict[str, npt.NDArray[np.float64]] = {}
    with Path(file).open(encoding="utf-8-sig", errors=ANY_NAME, newline="") as table:
        reader = csv.DictReader(table)
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        column = next((name for name in _PATHS if name in header), None)
        absent = [name for name in POINTS if name not in header]
        if column is None or absent:
            lacks = "a column path" if column is None else f"the columns {', '.join(absent)}"
            raise ValueError(f"{file} lacks {lacks}; it has {', '.join(header) or 'no header'}")
        for row in reader:
            path, written = row[column], [row[name] for name in POINTS]
            if not any(written):
                continue
            try:
                place = np.array([float(each or "") for each in written]).reshape(5, 2)
            except ValueError as error:
                raise ValueError(f"line {reader.line_num} of {file}: {error}") from error
            if path in points:
                raise ValueError(f"line {reader.line_num} of {file}: {path} stands there twice")
            points[path] = place
    return points
