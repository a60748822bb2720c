"""The process group of the programs here."""

from __future__ import annotations

from datetime import timedelta

import torch
import torch.distributed as dist


def joined(seconds: float = 60.0) -> tuple[int, int]:
    """Join the others; this process's rank, and how many there are."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=seconds))
    return dist.get_rank(), dist.get_world_size()
