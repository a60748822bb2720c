"""A training step on one, two, four processes: seconds, bytes, memory, and the gradient's error."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from benchmarks.scale.one_rank import CONTENDERS, IMAGES_PER_IDENTITY, Cost, Setting, measured
from benchmarks.scale.table import Column, show

DESCRIPTION = """\
One training step on several gloo processes of one thread each, on this machine: a network of one
layer in DistributedDataParallel, and behind it

  triplets       semi-hard miner and triplet hinge: GlobalBatchLoss, and pytorch-metric-learning's
                 DistributedMinerWrapper and DistributedLossWrapper, as they are by default (every
                 rank compares all with all) and with efficient=True (its own rows with all)
  contrastive    all pairs of the batch, in the same three ways
  ArcFace        a head of --classes identities: in DDP, all of it on every rank, which sends the
                 more the more classes; split by ShardedClassifier, which sends the more the
                 larger the batch

The batch is that of all ranks together, so a good method takes less on more processes.

  seconds        from the moment all ranks begin until the last is done, the median of the steps
  CPU s          of one rank in a step, the median of the steps, the mean of the ranks: disturbed
                 less than seconds are where there are fewer cores than processes
  MB sent        by one rank in a step, 10^6 bytes over TCP, counted by the kernel (Linux only)
  added MiB      the most memory that building and two steps added to a rank, weights included
  error          of the network's gradient against one process with the whole batch, relative,
                 in float64, each library against itself; "cosine" is of the angle between them
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    contender: str
    processes: int
    batch: int
    dim: int
    classes: int | None
    seconds: float | None
    cpu_s: float | None
    sent_mb: float | None
    added_mib: float | None
    gradient_error: float | None
    gradient_cosine: float | None
    versions: str
    note: str


COLUMNS = (
    Column("contender", "contender", "<28"),
    Column("processes", "processes", ">9"),
    Column("seconds", "seconds", ">11.3f"),
    Column("cpu_s", "CPU s", ">11.3f"),
    Column("sent_mb", "MB sent", ">11,.2f"),
    Column("added_mib", "added MiB", ">11,.0f"),
    Column("gradient_error", "error", ">11.0e"),
    Column("gradient_cosine", "cosine", ">9.3f"),
    Column("note", "", "<2"),
)


def row_of(name: str, processes: int, setting: Setting, costs: list[Cost], note: str) -> Row:
    """A line from what every rank has measured; without that, a line that says why."""
    known = bool(costs) and bool(costs[0].seconds)
    slope = costs[0].slope if costs else None
    sent = [cost.sent_bytes for cost in costs if cost.sent_bytes is not None]
    return Row(
        contender=name,
        processes=processes,
        batch=setting.batch,
        dim=setting.dim,
        classes=setting.classes if name.startswith("ArcFace") else None,
        seconds=median(map(max, zip(*(c.seconds for c in costs), strict=True))) if known else None,
        cpu_s=mean(median(cost.cpu_s) for cost in costs) if known else None,
        sent_mb=mean(sent) / 1e6 if sent else None,
        added_mib=max(cost.added_mib for cost in costs) if known else None,
        gradient_error=slope and slope.error,
        gradient_cosine=slope and slope.cosine,
        versions=f"torch {torch.__version__}, "
        f"pytorch-metric-learning {version('pytorch-metric-learning')}",
        note=note or (costs[0].note if costs else ""),
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """The table's rows: all contenders on one process, then on more."""
    setting = Setting(options.batch, options.dim, options.classes, options.steps)
    for processes in options.processes:
        # One group for all contenders: to start one takes longer than what is measured.
        try:
            ranks, note = _of_ranks(processes, options.contenders, setting), ""
        except BrokenProcessPool:  # killed, as the system does when memory ends
            ranks, note = [], "  a process died: not enough memory?"
        for place, name in enumerate(options.contenders):
            yield row_of(name, processes, setting, [costs[place] for costs in ranks], note)


def _of_ranks(processes: int, names: list[str], setting: Setting) -> list[list[Cost]]:
    """What each rank measured of each contender."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started here
    start = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(processes, mp_context=start) as pool,
    ):
        meet = str(Path(folder) / "meet")
        asked = [
            pool.submit(measured, rank, processes, meet, names, setting)
            for rank in range(processes)
        ]
        return [each.result() for each in asked]


def run(options: argparse.Namespace) -> int:
    """Print the table as it comes, and keep it as CSV."""
    if any(options.batch % (IMAGES_PER_IDENTITY * count) for count in options.processes):
        raise SystemExit(
            f"--batch must be a multiple of {IMAGES_PER_IDENTITY} times each of --processes, got "
            f"{options.batch}: pytorch-metric-learning's wrappers take parts of one length"
        )
    print(
        f"batch {options.batch:,}, D = {options.dim}, {options.classes:,} classes, "
        f"{os.cpu_count()} cores, torch {torch.__version__}, "
        f"pytorch-metric-learning (pml) {version('pytorch-metric-learning')}"
    )
    return show(rows(options), COLUMNS, options.out)


def add_command(commands: Any) -> None:
    """Add ``processes`` to the command line."""
    command = commands.add_parser(
        "processes",
        help="a training step on several processes, beside pytorch-metric-learning's wrappers",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    counts = [1, 2, 4]
    add("--processes", type=int, nargs="+", default=counts, metavar="W", help="default 1, 2 and 4")
    names = list(CONTENDERS)
    add("--contenders", nargs="+", choices=names, default=names, metavar="NAME", help="default all")
    add("--batch", type=int, default=1024, metavar="N", help="rows of all ranks, default 1024")
    add("--dim", type=int, default=128, metavar="D", help="of the embeddings, default 128")
    said = "identities of a head, default 20000"
    add("--classes", type=int, default=20_000, metavar="C", help=said)
    add("--steps", type=int, default=5, help="figures are the median of so many, default 5")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
    command.set_defaults(run=run)
