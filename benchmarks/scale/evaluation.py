"""Evaluation of a whole set: against the bare blocked product and AccuracyCalculator."""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks.files import write_table
from benchmarks.scale.offline import clustered, peak_mib, product
from metricface.evaluation import class_distances, retrieval, verification

DESCRIPTION = """\
Seconds and peak memory of the evaluation over clustered embeddings (as in "offline").

  product        the bare blocked matrix product x·xᵀ: all N² pairs, where histogram and
                 verification need only half of them
  histogram      class_distances: the exact histogram of all pairs
  verification   ROC, TAR at FAR and ten-fold accuracy over all pairs
  retrieval      Recall@1 and @5, R-precision, MAP@R
  pml            AccuracyCalculator: Recall@1, R-precision, MAP@R

Each figure is a process of its own; "added" is its peak memory less what it held before.
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    measure: str
    samples: int
    dim: int
    threads: int
    seconds: float
    times_product: float | None
    added_mib: float


def peer(x: Tensor, labels: Tensor) -> object:
    """pytorch-metric-learning's calculator, as its documentation uses it."""
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    return AccuracyCalculator(include=names, k="max_bin_count").get_accuracy(x, labels)


MEASURES: dict[str, Callable[[Tensor, Tensor], object]] = {
    "product": lambda x, _: product(x),
    "histogram": class_distances,
    "verification": verification,
    "retrieval": retrieval,
    "pml": peer,
}


def measure(name: str, samples: int, dim: int, threads: int) -> tuple[float, float]:
    """Seconds and added memory of one measure."""
    torch.set_num_threads(threads)
    x, labels = clustered(samples, dim)
    small = clustered(500, dim)
    MEASURES[name](*small)  # imports and threads are not what is measured
    before, start = peak_mib(), perf_counter()
    MEASURES[name](x, labels)
    return perf_counter() - start, peak_mib() - before


def rows_of(options: argparse.Namespace) -> Iterator[Row]:
    """The table's rows, one at a time; seconds are the least of the repeats."""
    context = multiprocessing.get_context("spawn")
    for samples in options.samples:
        floor = None
        for name in options.measures:
            runs = []
            for _ in range(options.repeats):
                with context.Pool(1) as pool:
                    setting = (name, samples, options.dim, options.threads)
                    runs.append(pool.apply(measure, setting))
            seconds, added = min(runs)
            floor = seconds if name == "product" else floor
            times = seconds / floor if floor else None
            yield Row(name, samples, options.dim, options.threads, seconds, times, added)


def run(options: argparse.Namespace) -> int:
    """Print the table as it comes, and keep it as CSV."""
    columns = ("seconds", "× product", "added MiB")
    print(f"{'measure':<14}{'samples':>11}" + "".join(f"{name:>12}" for name in columns))
    rows = []
    for row in rows_of(options):
        times = f"{row.times_product:.2f}" if row.times_product else "-"
        print(
            f"{row.measure:<14}{row.samples:>11,}{row.seconds:>12.2f}{times:>12}"
            f"{row.added_mib:>12,.0f}",
            flush=True,
        )
        rows.append(row)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_table(options.out, pd.DataFrame(map(asdict, rows)))
    return 0


def add_command(commands: Any) -> None:
    """Add ``evaluation`` to the command line."""
    command = commands.add_parser(
        "evaluation",
        help="histogram, verification and retrieval of a whole set",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    sizes = [10_000, 100_000]
    add("--samples", type=int, nargs="+", default=sizes, metavar="N", help="data set sizes")
    names = list(MEASURES)
    add("--measures", nargs="+", choices=names, default=names, help="default: all")
    add("--dim", type=int, default=128, help="default 128")
    add("--threads", type=int, default=2, help="default 2")
    add("--repeats", type=int, default=3, help="figures are the best of so many, default 3")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
    command.set_defaults(run=run)
