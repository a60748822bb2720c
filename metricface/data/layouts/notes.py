"""Files beside one's images that are passed over."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence


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


def warn_of_unread(endings: Sequence[str], source: object) -> None:
    """Say how many images were passed over for their endings, if any.

    Args:
        endings: of each of them.
        source: where they lie.

    Example:
        >>> warn_of_unread([], "people")
    """
    if endings:
        warnings.warn(
            f"passed over: {len(endings)} files of {source} that end in "
            f"{', '.join(sorted(set(endings)))}, which are not read: convert them",
            stacklevel=3,
        )
