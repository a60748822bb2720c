"""What happens on all ranks alike: one result, or one error."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch.distributed as dist

from metricface.distributed.world import rank, world_size

T = TypeVar("T")


def on_rank_0(compute: Callable[[], T]) -> T:
    """What rank 0 computes, on every rank; the others wait for it.

    Args:
        compute: gives something that can be pickled; called on rank 0 only.

    Raises:
        Exception: on every rank, what it raises on rank 0.

    Example:
        >>> on_rank_0(lambda: 3)  # one process
        3
    """
    if world_size() == 1:
        return compute()
    result, error = _attempt(compute) if rank() == 0 else (None, None)
    carried: list[Any] = [result, _portable(error)]
    dist.broadcast_object_list(carried)
    if carried[1] is not None:
        raise error or carried[1]
    return cast("T", result if rank() == 0 else carried[0])


def everywhere(compute: Callable[[], T]) -> T:
    """What each rank computes for itself, once all of them have.

    Args:
        compute: must not meet the other ranks: where it fails on one of them, they would wait.

    Raises:
        Exception: on every rank, what it raises on the first rank where it raises anything.

    Example:
        >>> everywhere(lambda: 3)  # one process
        3
    """
    if world_size() == 1:
        return compute()
    result, error = _attempt(compute)
    for place, each in enumerate(every(_portable(error))):
        if each is not None:
            raise error if error is not None and place == rank() else each
    return cast("T", result)


def every(own: T) -> list[T]:
    """A plain value of each rank, in rank order.

    Example:
        >>> every(3)  # one process
        [3]
    """
    found = [own] * world_size()
    if len(found) > 1:
        dist.all_gather_object(found, own)
    return found


def _attempt(compute: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return compute(), None
    except Exception as error:  # the others have to hear of it, or they wait
        return None, error


def _portable(error: Exception | None) -> Exception | None:
    """The error, or where it cannot be pickled one that says the same."""
    try:
        copy: Exception | None = pickle.loads(pickle.dumps(error))
    except Exception:  # exceptions with arguments of their own may raise anything here
        return RuntimeError(f"{type(error).__name__}: {error}")
    return copy
