"""The state of every global random generator, so that a resumed run draws the same numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The generators of torch (CPU and current CUDA device), numpy and Python: plain values.

    Example:
        >>> before = random_state()
        >>> drawn = torch.rand(1)
        >>> restore_random_state(before)
        >>> bool(torch.rand(1) == drawn)
        True
    """
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  (other libraries draw from it)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if _on_cuda() else None,
        "numpy": (str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Go back to where :func:`random_state` was taken."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and _on_cuda():
        torch.cuda.set_rng_state(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all generators inside the block and put them back after it.

    Example:
        >>> with seeded(1):
        ...     first = torch.rand(1)
        >>> with seeded(1):
        ...     second = torch.rand(1)
        >>> bool(first == second)
        True
    """
    before = random_state()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        restore_random_state(before)


def _on_cuda() -> bool:
    """Whether CUDA is in use; asking its generator would start it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
