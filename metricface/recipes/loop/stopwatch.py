"""Seconds spent per kind of work."""

from __future__ import annotations

import time
from collections import deque
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
    the clock between marks in the device's stream: what the device still does of one kind when
    the next begins counts as the first. The device is waited for only when the sums are read.

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
        self._seconds = dict.fromkeys(KINDS, 0.0)
        self._pending: deque[tuple[str, torch.cuda.Event, torch.cuda.Event]] = deque()

    @contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        """Count the seconds of the ``with`` block under ``kind``."""
        if self.device.type != "cuda":
            started = time.process_time()
            yield
            self._seconds[kind] += time.process_time() - started
            return
        begun = self._mark()
        yield
        self._pending.append((kind, begun, self._mark()))
        while self._pending and self._pending[0][2].query():  # type: ignore[no-untyped-call]
            self._settle()  # the device has come so far

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by kind; on CUDA this waits for what has been measured."""
        if self._pending:
            self._pending[-1][2].synchronize()
        while self._pending:
            self._settle()
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: dict[str, float]) -> None:
        self._pending.clear()
        self._seconds = seconds

    @property
    def total(self) -> float:
        """Seconds of training so far; evaluation is not counted."""
        return sum(self.seconds.values())

    def _mark(self) -> torch.cuda.Event:
        """A place in the device's stream, which knows its time once the device has passed it."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event

    def _settle(self) -> None:
        kind, begun, ended = self._pending.popleft()
        self._seconds[kind] += begun.elapsed_time(ended) / 1000
