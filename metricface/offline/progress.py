"""A progress bar for searches that take minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def with_progress(items: Sequence[Item], what: str, *, shown: bool) -> Iterator[Item]:
    """The items one by one, with a bar on the error stream if it is to be shown.

    Args:
        items: whose number is the whole.
        what: written before the bar.
        shown: without it nothing is printed and tqdm is not needed.

    Raises:
        ImportError: a bar is wanted and tqdm is missing.

    Example:
        >>> list(with_progress("ab", "letters", shown=False))
        ['a', 'b']
    """
    if not shown:
        yield from items
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            "a progress bar needs tqdm: pip install 'metricface[progress]'"
        ) from error
    yield from tqdm(items, desc=what)
