"""A progress bar for what takes more than seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def with_progress(
    items: Iterable[Item], what: str, *, shown: bool | None, total: int | None = None
) -> Iterable[Item]:
    """The items, with a bar on the error stream if it is to be shown.

    Args:
        items: what is worked through.
        what: written before the bar.
        shown: ``None`` shows it wherever tqdm is installed.
        total: how many items come, where they have no length.

    Raises:
        ImportError: a bar is wanted and tqdm is missing.

    Example:
        >>> list(with_progress("ab", "letters", shown=False))
        ['a', 'b']
    """
    if shown is False:
        return items
    try:
        from tqdm import tqdm
    except ImportError as error:
        if shown is None:
            return items
        raise ImportError(
            "a progress bar needs tqdm: pip install 'metricface[progress]'", name="tqdm"
        ) from error
    return tqdm(items, desc=what, total=total)
