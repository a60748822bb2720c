"""``python -m benchmarks.demo``: a few minutes that show which miner converges where."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.convergence.__main__ import OWN, run


def commands(out: Path) -> list[list[str]]:
    """The arguments of the two short runs.

    Args:
        out: the folder that holds a run folder for each.

    Returns:
        Command lines for ``benchmarks.convergence``.
    """
    glyphs = f"--data glyphs --methods {OWN},pml-semi-hard,pml-batch-hard --steps 300"
    orl = "--data orl --methods random,semi-hard,batch-hard --steps 100 --folds 4"
    return [
        [*glyphs.split(), "--out", str(out / "glyphs")],
        [*orl.split(), "--out", str(out / "orl")],
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both, then print where the pictures are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    out = parser.parse_args(arguments).out
    started = time.perf_counter()
    reports = [run(command) for command in commands(out)]
    print(f"\ndone in {time.perf_counter() - started:.0f} s; the pictures:")
    for report in reports:
        for file in report.files:
            if file.suffix == ".png":
                print(file)


if __name__ == "__main__":
    main()
