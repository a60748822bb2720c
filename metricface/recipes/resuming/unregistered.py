"""State that modules of other libraries keep outside ``state_dict``."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

_INTERNAL = frozenset(vars(nn.Module()))  # what every module has
_KEEP_THEIR_OWN = ("metricface.", "torch.")


def unregistered(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Plain attributes of foreign submodules: counters, flags, running histograms.

    Parameters and buffers are in ``state_dict``; but a queue's place, say, may be a plain number.
    Modules of this library and of torch have all of their state in ``state_dict``.

    Args:
        module: looked through with all its submodules.

    Returns:
        By the name of the submodule the tensors, numbers and Nones it remembers.

    Example:
        >>> from pytorch_metric_learning.losses import CrossBatchMemory, TripletMarginLoss
        >>> queue = CrossBatchMemory(TripletMarginLoss(), embedding_size=4, memory_size=8)
        >>> unregistered(queue)[""]["queue_idx"]
        0
    """
    found: dict[str, dict[str, Any]] = {}
    for name, part in module.named_modules():
        if not f"{type(part).__module__}.".startswith(_KEEP_THEIR_OWN):
            kept = {key: _plain(value) for key, value in vars(part).items() if _counts(key, value)}
            found |= {name: kept} if kept else {}
    return found


def restore_unregistered(module: nn.Module, state: dict[str, dict[str, Any]]) -> None:
    """Put back what :func:`unregistered` found, each tensor where the present one is.

    Args:
        module: built like the one that was looked through.
        state: what was found.
    """
    for name, kept in state.items():
        part = module.get_submodule(name)
        for key, value in kept.items():
            now = getattr(part, key, None)
            if isinstance(value, Tensor) and isinstance(now, Tensor):
                value = value.to(now.device)
            setattr(part, key, value)


def _counts(key: str, value: object) -> bool:
    kinds = (Tensor, bool, int, float, np.generic, type(None))
    return key not in _INTERNAL and isinstance(value, kinds)


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return value.item() if isinstance(value, np.generic) else value
