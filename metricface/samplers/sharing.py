"""Which process draws what: told by the caller, by torch.distributed, or left to Accelerate."""

from __future__ import annotations

import os
import sys
from typing import Any, Literal, TypeAlias

import torch.distributed

from metricface.given import as_count

Rank: TypeAlias = int | Literal["all"] | None
"""Number of a process; ``"all"`` for the parts of all of them; None to ask torch.distributed."""


def process_of(rank: Rank, world_size: int | None) -> tuple[int, int]:
    """Rank and number of processes: as given, else from torch.distributed, else 0 of 1.

    The parts of all processes begin with those of rank 0.

    Example:
        >>> process_of(1, 4), process_of("all", 4)
        ((1, 4), (0, 4))
    """
    if rank == "all":
        number = torch.distributed.get_world_size() if _met() else 1
        return 0, number if world_size is None else as_count("world_size", world_size)
    if (rank is None) != (world_size is None):
        raise ValueError(f"give both rank and world_size or none, got {rank} and {world_size}")
    if rank is None or world_size is None:
        if not _met():
            return 0, 1
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    rank, world_size = as_count("rank", rank, 0), as_count("world_size", world_size)
    if rank >= world_size:
        raise ValueError(f"rank must be in [0, world_size), got {rank} of {world_size}")
    return rank, world_size


def check_shared_once(sampler: Any, *, told: bool) -> None:
    """Refuse batches that are shared out among the processes twice, or not at all.

    Args:
        sampler: that says which part it yields: ``rank``, ``world_size``, ``parts``, ``for_all``.
        told: whether the caller gave rank and number of processes.

    Raises:
        ValueError: the sampler has its share of several processes and Accelerate takes a share
            of that, or cuts its batches elsewhere than between two identities; the sampler has
            the parts of all processes and nobody shares them out; it was to ask
            torch.distributed, which was initialised only afterwards; Accelerate does not know
            of the other processes.
    """
    _check_known_to_accelerate()
    kind, own = type(sampler).__name__, f"rank={sampler.rank}, world_size={sampler.world_size}"
    loader = accelerate_loader(sampler)
    if loader is not None:
        _check_shared_by_accelerate(sampler, loader)
        # It takes what remains of the data set for the length of the last batch, which is whole.
        loader.remainder = 0
    elif sampler.parts > 1:
        raise ValueError(
            f"this {kind} yields the parts of all {sampler.world_size} processes, one after the "
            "other, and there is no loader prepared by Accelerate to hand each process its own: "
            "pass the loader through accelerator.prepare(), or leave rank out"
        )
    elif not told and _met() and torch.distributed.get_world_size() != sampler.world_size:
        raise ValueError(
            f"this {kind} was made before torch.distributed was initialised and took itself for "
            f"the only process ({own}), so that all {torch.distributed.get_world_size()} would "
            "draw the same batches; make it afterwards, or give it rank and world_size"
        )


def _check_shared_by_accelerate(sampler: Any, loader: Any) -> None:
    processes = sys.modules["accelerate.state"].PartialState().num_processes
    kind, own = type(sampler).__name__, f"rank={sampler.rank}, world_size={sampler.world_size}"
    if sampler.for_all:
        if sampler.world_size != processes:
            raise ValueError(
                f"this {kind} was made for {sampler.world_size} processes, but Accelerate has "
                f"{processes}: make it after Accelerator(), or give it world_size={processes}"
            )
        if processes > 1 and _splits(loader):
            raise ValueError(
                f"split_batches=True cuts every batch into {processes} parts, and this {kind} has "
                f'done so already: leave split_batches out, or in place of rank="all" give it '
                f"rank=0, world_size=1 and p={sampler.width}, the identities of all processes"
            )
    elif min(sampler.world_size, processes) > 1:
        raise ValueError(
            f"Accelerate shares the batches of a prepared loader out among its {processes} "
            f"processes, and so does this {kind} ({own}): most batches would never be seen; "
            f'give it rank="all", or leave the loader out of accelerator.prepare()'
        )
    elif _splits(loader) and sampler.p % processes:
        raise ValueError(
            f"split_batches=True would cut a batch of p={sampler.p} identities into {processes} "
            f"parts, in the midst of one: let p be a multiple of {processes}"
        )


def _check_known_to_accelerate() -> None:
    """Refuse processes of which Accelerate sees only one, which would all train by themselves."""
    state = sys.modules.get("accelerate.state")
    if state is None or not state.is_initialized():
        return
    together = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if _met():
        together = torch.distributed.get_world_size()
    if state.PartialState().num_processes == 1 < together:
        raise ValueError(
            f"there are {together} processes, but Accelerate counts one: it would not average "
            "their gradients, and the weights would drift apart; without a GPU it needs "
            "Accelerator(cpu=True)"
        )


def batches_at_once(sampler: Any, loader: Any) -> int:
    """How many batches all processes together have had when the loop of each has had one.

    Args:
        sampler: whose batches they are.
        loader: that is under way.

    Raises:
        ValueError: it is not a loader of the sampler's batches, or skips some of them.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> sampler = [[0], [1]]
        >>> batches_at_once(sampler, DataLoader([5, 6], batch_sampler=sampler))
        1
    """
    way = _way(loader, sampler)
    if not way:
        raise ValueError(
            f"the loader does not take its batches from this {type(sampler).__name__}: follow one "
            "with batch_sampler=sampler"
        )
    if any(getattr(each, "skip_batches", 0) for each in way):
        raise ValueError(
            "a loader that skips batches is not followed: follow the one that was prepared, which "
            "goes on where the sampler was loaded"
        )
    if accelerate_loader(sampler) is None or _splits(loader) or sampler.world_size > 1:
        return 1
    return int(sys.modules["accelerate.state"].PartialState().num_processes)


def accelerate_loader(sampler: Any) -> Any | None:
    """The loader prepared by Accelerate that is going through a sampler, if there is one.

    A batch sampler is not told who asks it for batches. Accelerate keeps a list of the prepared
    loaders that are under way, and each of them leads to its sampler, through whatever wraps it.
    Whoever uses Accelerate has imported it, so it is not imported here.

    Example:
        >>> accelerate_loader(object()) is None
        True
    """
    state = sys.modules.get("accelerate.state")
    if state is None:
        return None
    for loader in state.GradientState().dataloader_references:
        if _way(loader, sampler):
            return loader
    return None


def _way(loader: Any, sampler: Any) -> list[Any]:
    """The loader and all that it wraps down to the sampler; nothing where that is not in it."""
    way = [loader]
    while way[-1] is not None and way[-1] is not sampler:
        way.append(getattr(way[-1], "batch_sampler", None))
    return way if way[-1] is sampler else []


def _splits(loader: Any) -> bool:
    """Whether Accelerate cuts every batch into the parts of the processes."""
    shard = getattr(loader, "batch_sampler", None)
    return any(getattr(each, "split_batches", False) for each in (loader, shard))


def _met() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
