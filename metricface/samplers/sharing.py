"""Which process draws what: told by the caller, by torch.distributed, or left to Accelerate."""

from __future__ import annotations

import sys
from typing import Any

import torch.distributed

from metricface.given import as_count


def process_of(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Rank and number of processes: as given, else from torch.distributed, else 0 of 1.

    Example:
        >>> process_of(1, 4)
        (1, 4)
    """
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
        sampler: with ``rank`` and ``world_size``.
        told: whether the caller gave these two.

    Raises:
        ValueError: the sampler has its share of several processes and Accelerate takes a share
            of that; or it was to ask torch.distributed, which was initialised only afterwards.
    """
    kind, own = type(sampler).__name__, f"rank={sampler.rank}, world_size={sampler.world_size}"
    if accelerate_loader(sampler) is not None:
        processes = sys.modules["accelerate.state"].PartialState().num_processes
        if min(sampler.world_size, processes) > 1:
            raise ValueError(
                f"Accelerate shares the batches of a prepared loader out among its {processes} "
                f"processes, and so does this {kind} ({own}): most batches would never be seen; "
                "leave the loader out of accelerator.prepare(), or let Accelerate do it alone "
                f"with {kind}(..., rank=0, world_size=1)"
            )
    elif not told and _met() and torch.distributed.get_world_size() != sampler.world_size:
        raise ValueError(
            f"this {kind} was made before torch.distributed was initialised and took itself for "
            f"the only process ({own}), so that all {torch.distributed.get_world_size()} would "
            "draw the same batches; make it afterwards, or give it rank and world_size"
        )


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
        inner = loader
        while inner is not None and inner is not sampler:
            inner = getattr(inner, "batch_sampler", None)
        if inner is not None:
            return loader
    return None


def _met() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
