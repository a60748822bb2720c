"""The process group of the programs here."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist


def joined(seconds: float = 60.0) -> tuple[int, int]:
    """Join the others; this process's rank, and how many there are."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=seconds))
    return dist.get_rank(), dist.get_world_size()


def ended() -> NoReturn:
    """End this process at once, and not by way of the interpreter.

    A DDP module keeps the group's threads alive, and an interpreter that takes them down on a
    busy machine may abort ("terminate called without an active exception") when all is done.
    """
    os._exit(0)
