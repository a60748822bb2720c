"""Files that are whole or as they were, and folders that one run uses at a time."""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"
"""The file of a folder that its run holds locked; what it says does not count, nor that it is."""

_held: set[io.FileIO] = set()


def write_whole(file: Path, fill: Callable[[Path], object], *, kept_as: Path | None = None) -> None:
    """Write a file under another name in the same folder, bring it to the disk, then rename it.

    Whoever looks finds what was there before or what is there now, also after a crash, and two
    writers at once do not meet: each has a name of its own, which ends in ``.partial``. Who might
    read what was there may read what is there now.

    Args:
        file: what to write; its folder must exist.
        fill: writes the content to the path it is given.
        kept_as: where what was there before stays, in the same folder; None does not keep it.

    Raises:
        OSError: the folder is missing or full; what was there before is as it was.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for text in ("old", "new"):
        ...         write_whole(Path(folder, "it"), lambda part: part.write_text(text))
        ...     Path(folder, "it").read_text(), os.listdir(folder)
        ('new', ['it'])
    """
    part = _beside(file)
    try:
        fill(part)
        _to_disk(part)
        with suppress(OSError):  # nothing was there
            shutil.copymode(file, part)
        if kept_as is not None:
            _keep(file, kept_as)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    with suppress(OSError):  # the content is safe already; not every system opens folders
        _to_disk(file.parent)


def clear_leftovers(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove what killed calls of :func:`write_whole` left; nobody may be writing there now.

    Args:
        folder: looked through, but not the folders in it.
        names: of the files that were to be written; None is all.
    """
    for left in folder.glob(".*.partial"):
        found = re.fullmatch(r"\.(.+?)(\.[0-9a-f]{16})?\.partial", left.name)
        if found is not None and (names is None or found[1] in names):
            left.unlink(missing_ok=True)


@contextmanager
def used_alone(folder: Path) -> Iterator[bool]:
    """Keep other runs out of a folder while the block runs.

    The system lets go of the lock when the process ends, however it ends: a killed run never
    locks out the next one. Nor do processes it has forked, such as the workers of a DataLoader,
    that live a little longer.

    Args:
        folder: made if missing.

    Yields:
        Whether it is certain: False, with a warning, where the file system knows no locks.

    Raises:
        BlockingIOError: another run uses the folder, be it in this process.
        OSError: the folder cannot be made.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, used_alone(Path(folder)):
        ...     os.listdir(folder)
        ['.lock']
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = _locked(folder)
    try:
        yield stream is not None
    finally:
        if stream is not None:
            _held.discard(stream)
            stream.close()


def _beside(file: Path) -> Path:
    """A name that no other writer has; the system's own randomness moves no seeded generator."""
    return file.with_name(f".{file.name}.{secrets.token_hex(8)}.partial")


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, would survive a crash."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep(file: Path, kept_as: Path) -> None:
    """Give what is there a second name, so that nobody finds the first one missing meanwhile."""
    if not file.exists():
        return
    link = _beside(kept_as)
    try:
        os.link(file, link)
    except OSError:  # no links on this file system
        os.replace(file, kept_as)
        return
    try:
        os.replace(link, kept_as)
    finally:
        link.unlink(missing_ok=True)  # where both are one file already, replacing does nothing


def _locked(folder: Path) -> io.FileIO | None:
    """The lock file, open and locked; None where the file system does not lock."""
    try:
        stream = io.FileIO(folder / LOCK, "a")
        try:
            _lock(stream.fileno())
        except BaseException:
            stream.close()
            raise
    except BlockingIOError as error:
        raise BlockingIOError(
            f"{folder} is in use by a run that has not ended; wait for it or give another folder"
        ) from error
    except OSError as error:
        warnings.warn(
            f"{folder} cannot be locked ({error.strerror or error}): see to it that no other run "
            "uses it at the same time",
            stacklevel=4,
        )
        return None
    _held.add(stream)
    return stream


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go() -> None:
        """A forked child closes its copies: else it would hold the lock as long as it lives."""
        for stream in _held:
            stream.close()
        _held.clear()

    os.register_at_fork(after_in_child=_let_go)
