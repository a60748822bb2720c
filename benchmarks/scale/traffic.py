"""What each of several GPUs sends in a step, on paper: heads of any size, batches of any size."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.table import Column, show

DESCRIPTION = """\
Megabytes (10^6 bytes) that each of W GPUs sends in a step, by formulas and not by measurement.

With b bytes a number, a ring moves n bytes in two ways, of which each rank sends

  all-gather or reduce-scatter of n bytes    (W-1)/W n
  all-reduce of n bytes                    2 (W-1)/W n

and so a classification head of C identities on a batch of N rows of D numbers, all ranks together:

  replicated   DDP's all-reduce of the gradient of all weights, n = C D b: whatever the batch
  sharded      an all-gather of the rows and their labels, n = N (D b + 8); an all-reduce of the
               largest logit and one of the sums and targets, n = N b and 2 N b; a reduce-scatter
               of the rows' gradient, n = N D b: whatever the number of identities
  partial      a sharded head that looks at a sample of its identities: what a sharded one sends

What DDP sends for the network comes on top of each, and is the same.
"""


@dataclass(frozen=True)
class Row:
    """One line of the table; its traffic depends on the identities or on the batch, not on both."""

    head: str
    identities: int | None
    batch: int | None
    gpus: int
    dim: int
    sent_mb: float


COLUMNS = (
    Column("head", "head", "<18"),
    Column("identities", "identities", ">12,"),
    Column("batch", "batch", ">9,"),
    Column("gpus", "GPUs", ">6"),
    Column("sent_mb", "MB sent", ">11,.1f"),
)


def replicated_bytes(identities: int, dim: int, ranks: int, width: int = 4) -> float:
    """Bytes that each rank sends in a step where DDP averages a head's gradient.

    Args:
        identities: C.
        dim: D.
        ranks: W.
        width: bytes of a number.

    Example:
        >>> replicated_bytes(1000, 512, ranks=2)
        2048000.0
    """
    return 2 * (ranks - 1) / ranks * identities * dim * width


def sharded_bytes(batch: int, dim: int, ranks: int, width: int = 4) -> float:
    """Bytes that each rank sends in a step with a sharded head, partial or not.

    Args:
        batch: rows of all ranks.
        dim: D.
        ranks: W.
        width: bytes of a number.

    Example:
        >>> sharded_bytes(1024, 512, ranks=2)
        2113536.0
    """
    rows, labels, merged = batch * dim * width, batch * 8, 3 * batch * width
    return (ranks - 1) / ranks * (2 * rows + labels + 2 * merged)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Heads that are replicated, by identities; those that are sharded, by batch."""
    dim = options.dim
    for count in options.identities:
        for gpus in options.gpus:
            sent = replicated_bytes(count, dim, gpus) / 1e6
            yield Row("replicated", count, None, gpus, dim, sent)
    for batch in options.batches:
        for gpus in options.gpus:
            sent = sharded_bytes(batch, dim, gpus) / 1e6
            yield Row("sharded, partial", None, batch, gpus, dim, sent)


def run(options: argparse.Namespace) -> int:
    """Print the table, and keep it as CSV."""
    return show(rows(options), COLUMNS, options.out)


def add_command(commands: Any) -> None:
    """Add ``traffic`` to the command line."""
    command = commands.add_parser(
        "traffic",
        help="what several GPUs would send in a step, on paper",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    identities, batches = [85_742, 1_000_000, 10_000_000], [1_024, 8_192, 65_536]
    add("--gpus", type=int, nargs="+", default=[8, 64], metavar="W", help="default 8 and 64")
    said = f"default {', '.join(f'{n:,}' for n in identities)}"
    add("--identities", type=int, nargs="+", default=identities, metavar="C", help=said)
    said = f"rows of all ranks, default {', '.join(f'{n:,}' for n in batches)}"
    add("--batches", type=int, nargs="+", default=batches, metavar="N", help=said)
    add("--dim", type=int, default=512, metavar="D", help="default 512")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
    command.set_defaults(run=run)
