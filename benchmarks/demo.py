"""``python -m benchmarks.demo``: a few minutes that show which miner converges where."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

GLYPHS = (
    "--data glyphs --steps 240 --eval-every 60 "
    "--methods random,semi-hard,batch-hard,batch-hard-soft,contrastive,pml-semi-hard,pml-batch-hard"
)
ORL = "--data orl --steps 100 --methods random,semi-hard,batch-hard-soft"


def commands(out: Path) -> list[list[str]]:
    """The arguments of the two short runs.

    Args:
        out: the folder that holds a run folder for each.

    Returns:
        Command lines for ``benchmarks.convergence``.

    Example:
        >>> [command[-1] for command in commands(Path("demo"))]
        ['demo/glyphs', 'demo/orl']
    """
    return [
        [*GLYPHS.split(), "--out", str(out / "glyphs")],
        [*ORL.split(), "--out", str(out / "orl")],
    ]


def run(command: Sequence[str]) -> str:
    """Run ``benchmarks.convergence``, its progress bars shown, and return what it printed.

    Args:
        command: its arguments.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
    """
    typed = ["-m", "benchmarks.convergence", *command]
    print(f"$ python {shlex.join(typed)}", flush=True)
    # Threads that wait for each other by spinning lose a factor of four once the machine has
    # anything else to do.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run(
        [sys.executable, *typed], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both, then print their tables and the paths of their pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    out: Path = parser.parse_args(arguments).out
    started = time.perf_counter()
    try:
        printed = [run(command) for command in commands(out)]
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
    print(*printed, sep="")
    print(f"{time.perf_counter() - started:.0f} s; finished cells in {out} are not run again")


if __name__ == "__main__":
    main()
