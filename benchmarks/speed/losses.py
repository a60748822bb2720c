"""``python -m benchmarks.speed losses``: losses over the whole batch, in time and memory."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.files import write_table
from benchmarks.speed.contenders import LOSSES
from benchmarks.speed.mining import measured, parser

DESCRIPTION = """\
Median milliseconds and peak memory of each loss over all pairs or triplets of a batch, forward and
backward, beside pytorch-metric-learning's and beside one bare N×N×D matrix product (the floor). All
are timed in turns.

Embeddings are random and of unit length, P identities with K images each. What would need more
than half of the device's memory (4 GiB with --quick) is not run; the note says how much that is.
"""

EPILOG = """\
what comes out, in --out:
  losses.csv  batch, loss, who, median ms, ratio to the floor and to the incumbent, peak MiB

examples:
  python -m benchmarks.speed losses --quick
  python -m benchmarks.speed losses --grid 16384x4x128      65,536 rows: 20 minutes on two cores
"""

QUICK = "64x4x128,256x4x128"
FULL = "64x4x128,256x4x128,512x4x128,2048x4x128"


def main(arguments: Sequence[str] | None = None) -> int:
    """Time, print the table, write the CSV."""
    options = parser("losses", DESCRIPTION, EPILOG, QUICK, FULL).parse_args(arguments)
    write_table(options.out / "losses.csv", measured(options, LOSSES, QUICK, FULL))
    print(options.out / "losses.csv")
    return 0
