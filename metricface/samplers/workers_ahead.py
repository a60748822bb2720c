"""How many batches a loop has had of a ``DataLoader`` whose worker processes fetch more."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from torch.utils.data import DataLoader

_COUNT = "_num_yielded"


class BatchesHad:
    """What torch's iterator over a loader counts: the batches that it has given to its loop.

    The iterator is not kept alive, and of one that is gone the last number stays.

    Args:
        iterator: torch's, with worker processes.
    """

    def __init__(self, iterator: Any) -> None:
        self._facts: dict[str, Any] = vars(iterator)
        weakref.finalize(iterator, self._let_go).atexit = False

    def __int__(self) -> int:
        return int(self._facts[_COUNT])

    def _let_go(self) -> None:
        self._facts = {_COUNT: int(self)}

    def __getstate__(self) -> dict[str, Any]:
        """A copy stands still: it is of a sampler that this loader does not ask."""
        return {"_facts": {_COUNT: int(self)}}


def workers_ahead() -> BatchesHad | None:
    """The count of the loader that asks for the first batch of a pass, if it has workers.

    Those ask for batches ahead of the loop. A sampler is not told who asks; the frame that does so
    is looked at, once a pass. Others that ask ahead, as torchdata's ``StatefulDataLoader``, keep
    count themselves.

    Example:
        >>> workers_ahead() is None
        True
    """
    asks = sys._getframe(2)  # of the generator that calls this
    iterator = None if asks is None else asks.f_locals.get("self")
    if type(iterator).__module__ != DataLoader.__module__:
        return None
    return BatchesHad(iterator) if getattr(iterator, "_num_workers", 0) else None
