"""Times of several functions on a machine that others use too, and peak memory of one."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

Work = Callable[[], object]


def median_ms(function: Work, repeats: int = 7, warmup: int = 2) -> float:
    """Median milliseconds of one call.

    Args:
        function: what to time.
        repeats: timed calls.
        warmup: calls before, not timed.

    Example:
        >>> median_ms(lambda: time.sleep(0.001), repeats=3, warmup=0) >= 1
        True
    """
    for _ in range(warmup):
        function()
    return statistics.median(_milliseconds(function) for _ in range(repeats))


def side_by_side(
    functions: Mapping[str, Work], *, rounds: int = 15, seconds: float = 2.0
) -> dict[str, float]:
    """Median milliseconds of each function, timed in turns.

    One call of each, then again one of each: what else the machine does falls on all alike, so
    their ratios hold where their times would not. A function that has taken its seconds sits out
    the rounds that are left.

    Args:
        functions: what to time, by name; each called before, if its first call is special.
        rounds: timed calls of each, at most.
        seconds: for each function, all rounds together.

    Returns:
        Milliseconds by name.

    Example:
        >>> times = side_by_side({"short": lambda: None, "long": lambda: time.sleep(0.002)})
        >>> times["long"] > times["short"]
        True
    """
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if sum(spent[name]) < 1000 * seconds:
                spent[name].append(_milliseconds(function))
    return {name: statistics.median(times) for name, times in spent.items()}


def peak_extra_mib(function: Work) -> float:
    """Most memory held during a call beyond what was held before it, in MiB.

    On CUDA the allocator tells; elsewhere Linux's high-water mark of the process, reset first.
    NaN where neither is to be had.

    Args:
        function: called once, while measured.

    Example:
        >>> 30 < peak_extra_mib(lambda: torch.ones(10, 1024, 1024)) < 50
        True
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        # What was freed but kept for reuse would count as held before.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        resident = _status_kib("VmRSS")
        function()
        return (_status_kib("VmHWM") - resident) / 1024
    except (OSError, AttributeError):
        return float("nan")


def _status_kib(field: str) -> float:
    """A line of the kernel's account of this process, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1])


def _milliseconds(function: Work) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)
