"""Files written whole or not at all."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from metricface.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def check_outputs(
    *files: Path | None,
    picture: Path | None = None,
    page: Path | None = None,
    inputs: Sequence[Path | None] = (),
) -> None:
    """Raise before a long computation if its result could not be written.

    Args:
        *files: what is to be written; None is passed over.
        picture: what is to be drawn, in the format of its ending.
        page: what is to be written with drawings in it.
        inputs: what is to be read; None is passed over.

    Raises:
        ValueError: a folder does not exist (it is named) or may not be written to, something that
            is no file stands in the file's place, one file is to be read and written or written
            twice, or a format that matplotlib does not know.
        ImportError: a picture is wanted and matplotlib is missing.
    """
    outputs = [file for file in (*files, picture, page) if file is not None]
    for number, file in enumerate(outputs):
        _check_place(file)
        for read in inputs:
            if read is not None and _same(file, read):
                raise ValueError(f"{file} cannot be written: {read} is read, give another name")
        if any(_same(file, other) for other in outputs[:number]):
            raise ValueError(f"{file} is to be written twice: give each output a name of its own")
    if page is not None:
        _figure(page, (1, 1))
    if picture is None:
        return
    known = _figure(picture, (1, 1)).canvas.get_supported_filetypes()
    if _format(picture) not in known:
        raise ValueError(
            f"{picture} cannot be drawn: its ending must be one of {', '.join(sorted(known))}"
        )


def write_output(file: Path, fill: Callable[[Path], object]) -> None:
    """As :func:`write_whole`; a symbolic link stays one, and what it points at is written."""
    write_whole(_behind_links(file), fill)


def say(text: str, stream: IO[str] | None = None) -> None:
    """Write one or more lines; no error if the reader has gone, as with ``| head``.

    Args:
        text: without the last line break.
        stream: standard output if None.

    Example:
        >>> say("samples  48")
        samples  48
    """
    stream = sys.stdout if stream is None else stream
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # What is still buffered would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(file: Path, report: dict[str, Any]) -> None:
    """A report as JSON; unknown numbers are null."""
    text = json.dumps(_plain(report), indent=2, allow_nan=False) + "\n"
    write_output(file, lambda part: part.write_text(text, encoding="utf-8"))


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as CSV."""

    def fill(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    write_output(file, fill)


def write_picture(
    file: Path, draw: Callable[[Axes], object], *, size: tuple[float, float], title: str
) -> None:
    """A picture in the format of the file's ending, which :func:`check_outputs` knows to be one.

    Args:
        file: such as ``roc.png``.
        draw: draws on the Axes it is given.
        size: in inches.
        title: stands above it, as it is.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = _figure(file, size)
    axes = figure.subplots()
    draw(axes)
    # Over the whole picture, so that a long one does not run out of it beside a legend.
    figure.suptitle(title, fontsize="medium", parse_math=False)
    write_output(file, lambda part: figure.savefig(part, format=_format(file), dpi=130))


def _check_place(file: Path) -> None:
    """Raise if no file can be written there."""
    folder = _behind_links(file).parent
    if not folder.absolute().is_dir():
        raise ValueError(f"{file} cannot be written: there is no folder {folder}")
    if file.is_dir():
        raise ValueError(f"{file} cannot be written: it is a folder, give a file's name")
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} cannot be written: it is no file but a device or a pipe")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{file} cannot be written: nothing may be written to the folder {folder}")


def _behind_links(file: Path) -> Path:
    return Path(os.path.realpath(file)) if file.is_symlink() else file


def _same(file: Path, other: Path) -> bool:
    if file.exists() and other.exists():
        return os.path.samefile(file, other)
    return os.path.realpath(file) == os.path.realpath(other)


def _figure(file: Path, size: tuple[float, float]) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"drawing {file} needs matplotlib: pip install 'metricface[plots]'"
        ) from error
    return Figure(figsize=size, layout="constrained")


def _format(file: Path) -> str:
    return file.suffix.removeprefix(".").lower()


def _plain(value: Any) -> Any:
    """Numbers that JSON cannot express become null, keys become strings."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
