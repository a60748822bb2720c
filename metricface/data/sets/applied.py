"""A function over many things, in this process or in several, with a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from metricface.progress import with_progress

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Applied(Dataset[Result], Generic[Item, Result]):
    """What worker processes do: an item to its result."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self._function, self._items = function, items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Result:
        return self._function(self._items[index])


def applied(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, what: str
) -> Iterator[Result]:
    """The results in the order of the items, each as soon as it and those before it are there.

    Args:
        function: what is done with each; with workers, it and the items must be picklable.
        items: what is worked through.
        workers: processes; 0 works here.
        what: written before the bar, which is shown wherever tqdm is installed.

    Yields:
        One result for each item.

    Example:
        >>> list(applied(str.upper, ["a", "b"], workers=0, what="letters"))
        ['A', 'B']
    """
    loader = DataLoader(
        _Applied(function, items),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        generator=torch.Generator(),  # without one, it would draw from the global generator
    )
    yield from with_progress(loader, what, shown=None, total=len(items))


def _as_it_is(result: Result) -> Result:
    return result
