"""Times of several functions on a machine that others use too, and peak memory of one."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from benchmarks.devices import CPU, wait

Work = Callable[[], object]


def side_by_side(
    functions: Mapping[str, Work],
    *,
    rounds: int = 15,
    seconds: float = 2.0,
    device: torch.device = CPU,
) -> dict[str, float]:
    """Median milliseconds of each function, timed in turns.

    One call of each, then again one of each: what else the machine does falls on all alike, so
    their ratios hold where their times would not. A function that has taken its seconds sits out
    the rounds that are left.

    Args:
        functions: what to time, by name; each called before, if its first call is special.
        rounds: timed calls of each, at most.
        seconds: for each function, all rounds together.
        device: what they run on, waited for before the clock is read.

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
                spent[name].append(_milliseconds(function, device))
    return {name: statistics.median(times) for name, times in spent.items()}


def peak_extra_mib(function: Work, device: torch.device = CPU) -> float:
    """Most memory held during a call beyond what was held before it, in MiB.

    Of work on CUDA the allocator tells; on the CPU Linux's high-water mark of the process, reset
    first. NaN where neither is to be had.

    Args:
        function: called once, while measured.
        device: what it runs on, whose memory is meant.

    Example:
        >>> 30 < peak_extra_mib(lambda: torch.ones(10, 1024, 1024)) < 50
        True
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        wait(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    if device.type != "cpu":
        return float("nan")
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


def _milliseconds(function: Work, device: torch.device) -> float:
    wait(device)
    start = time.perf_counter()
    function()
    wait(device)
    return 1000 * (time.perf_counter() - start)
