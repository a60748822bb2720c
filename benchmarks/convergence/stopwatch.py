"""Seconds spent per kind of work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

KINDS = ("data", "mining", "loss", "network")
"""Drawing and jittering the batch; the miner; the loss, both ways; the network and optimizer."""


class Stopwatch:
    """Adds up seconds per kind of work; on CUDA it waits for the device at both ends.

    Args:
        device: where the work runs.

    Example:
        >>> stopwatch = Stopwatch(torch.device("cpu"))
        >>> with stopwatch.measure("mining"):
        ...     _ = torch.zeros(3)
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
        """Seconds of training so far, evaluation not counted."""
        return sum(self.seconds.values())

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
