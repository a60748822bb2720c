"""Programs of several processes that meet on this machine and none of which outlives its test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SECONDS = 240.0


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(
    module: str,
    folder: Path,
    processes: int,
    *,
    arguments: Sequence[str] = (),
    killed: Set[int] = frozenset(),
) -> list[Any]:
    """What each of some processes had to say, in the order of ranks.

    Args:
        module: a program that writes JSON to the path it is given.
        folder: for that, and for what the processes print.
        processes: how many.
        arguments: what the program is given besides.
        killed: those that end by SIGKILL and say nothing.
    """
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(processes),
        "NODE_RANK": "0",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(processes):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
            with (folder / f"{rank}.txt").open("wb") as printed:
                command = [sys.executable, "-m", module, str(folder / f"{rank}.json"), *arguments]
                started.append(
                    subprocess.Popen(
                        command,
                        env={**os.environ, **shared, **place},
                        cwd=ROOT,
                        stdout=printed,
                        stderr=subprocess.STDOUT,
                    )
                )
        deadline = time.monotonic() + SECONDS
        codes = [each.wait(max(deadline - time.monotonic(), 0)) for each in started]
    finally:
        for each in started:
            each.kill()
            each.wait(10)
    printed_text = "\n".join((folder / f"{r}.txt").read_text() for r in range(processes))
    ends = [-signal.SIGKILL if rank in killed else 0 for rank in range(processes)]
    assert codes == ends, printed_text
    said = [folder / f"{rank}.json" for rank in range(processes)]
    return [
        None if code else json.loads(path.read_text())
        for code, path in zip(ends, said, strict=True)
    ]
