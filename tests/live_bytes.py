"""Peak of what tensors made within a block of code hold, to the byte."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages of all results of tensor operations while they are alive.

    What an operation allocates and frees inside itself is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        before = {t.untyped_storage().data_ptr() for t in tree_leaves(args) if _is_tensor(t)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if _is_tensor(tensor):
                storage = tensor.untyped_storage()
                place = storage.data_ptr()
                if place not in before and place not in self._known and storage.nbytes():
                    self._known.add(place)
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._freed, place, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, place: int, count: int) -> None:
        self._known.discard(place)
        self.now -= count


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def peak_mib(work: Callable[[], object]) -> float:
    """Most MiB held at once by tensors made in a call."""
    with LiveBytes() as live:
        work()
    return float(live.peak) / 2**20
