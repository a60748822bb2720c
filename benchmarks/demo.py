"""``python -m benchmarks.demo``: a few minutes that show which miner converges where."""

from __future__ import annotations

import argparse
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
    """What is run: two short comparisons, and a page about each.

    Args:
        out: the folder that holds a run folder for each.

    Returns:
        Modules with their arguments.

    Example:
        >>> [command[0].split(".")[1] for command in commands(Path("demo"))]
        ['convergence', 'convergence', 'report', 'report']
    """
    runs = {name: str(out / name) for name in ("glyphs", "orl")}
    return [
        ["benchmarks.convergence", *GLYPHS.split(), "--out", runs["glyphs"]],
        ["benchmarks.convergence", *ORL.split(), "--out", runs["orl"]],
        *(["benchmarks.report", run] for run in runs.values()),
    ]


def run(command: Sequence[str]) -> str:
    """Run a module, its progress bars shown, and return what it printed.

    Args:
        command: the module and its arguments.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
    """
    typed = ["-m", *command]
    print(f"$ python {shlex.join(typed)}", flush=True)
    done = subprocess.run([sys.executable, *typed], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all, then print the tables and the paths of the pages."""
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
