"""Seconds spent per kind of work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

KINDS = ("data", "network", "mining", "loss")
"""Fetching and augmenting the batch, and seeking look-alikes; the network, both ways, and the
optimizer; the miner and the memory; the loss, both ways."""


class Stopwatch:
    """Adds up seconds per kind of work.

    On the CPU these are processor seconds of this process: other programs on the machine do not
    count, nor do worker processes, and two busy threads count twice. On CUDA they are seconds of
    the clock, and the device is waited for at both ends.

    Args:
        device: where the work runs.

    Example:
        >>> stopwatch = Stopwatch(torch.device("cpu"))
        >>> with stopwatch.measure("mining"):
        ...     _ = torch.rand(1000).sort()
        >>> stopwatch.seconds["mining"] > 0, stopwatch.seconds["loss"]
        (True, 0.0)
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys(KINDS, 0.0)

    @contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        """Count the seconds of the ``with`` block under ``kind``."""
        started = self._now()
        yield
        self.seconds[kind] += self._now() - started

    @property
    def total(self) -> float:
        """Seconds of training so far; evaluation is not counted."""
        return sum(self.seconds.values())

    def _now(self) -> float:
        if self.device.type != "cuda":
            return time.process_time()
        torch.cuda.synchronize(self.device)  # pragma: no cover
        return time.perf_counter()
