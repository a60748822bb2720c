"""``python -m benchmarks.scale``: seconds and memory as the data grows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.scale import evaluation, ijb, offline, processes, records, samplers, traffic


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description="Seconds and memory as the data grows."
    )
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    for benchmark in (samplers, evaluation, ijb, offline, processes, records, traffic):
        benchmark.add_command(commands)
    chosen = parser.parse_args(arguments)
    run = chosen.run
    return int(run(chosen))


if __name__ == "__main__":
    sys.exit(main())
