"""The rank, the number of processes, and what the backend between them can do."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes train together; 1 without an initialised process group.

    Example:
        >>> world_size()
        1
    """
    return dist.get_world_size() if _initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0 on.

    Example:
        >>> rank()
        0
    """
    return dist.get_rank() if _initialized() else 0


def travels_on(tensor: object) -> torch.device:
    """The device from which something is sent: the one it is on, if the backend can do that.

    Args:
        tensor: what is to be sent; anything but a tensor is taken to be where it can be sent.
    """
    carried = [part.split(":")[0] for part in dist.get_backend_config().split(",")]
    if isinstance(tensor, Tensor) and tensor.device.type in carried:
        return tensor.device
    if "cpu" in carried:
        return torch.device("cpu")
    return torch.device(carried[0], torch.cuda.current_device() if "cuda" in carried else 0)


def can_reduce_scatter(device: torch.device) -> bool:
    """Whether the backend can add up rows and share out the sums in one step.

    gloo says in some versions that it cannot, and in others does the same as an all-reduce.
    """
    backends = dict(part.split(":") for part in dist.get_backend_config().split(","))
    return backends.get(device.type) not in ("gloo", "mpi")


def _initialized() -> bool:
    return dist.is_available() and dist.is_initialized()
