"""Files that macOS puts beside one's images on other systems' disks."""

from __future__ import annotations

import os
import warnings


def is_note(name: str | os.PathLike[str]) -> bool:
    """Whether a file is such a note: ``._1.jpg`` holds what macOS knows of ``1.jpg``, no image.

    Example:
        >>> is_note("people/anna/._1.jpg"), is_note("._people/1.jpg")
        (True, False)
    """
    return os.path.basename(name).startswith("._")


def warn_of_notes(count: int, source: object) -> None:
    """Say how many were passed over, if any.

    Args:
        count: of such files, with the ending of an image.
        source: where they lie.

    Example:
        >>> warn_of_notes(0, "people")
    """
    if count:
        warnings.warn(
            f"passed over: {count} files of {source} whose names begin with '._', which macOS "
            "leaves beside images and which are none",
            stacklevel=3,
        )
