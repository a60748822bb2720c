"""Impostors of a whole set: against the bare blocked product, and what approximation misses."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.files import write_table
from metricface.offline import nearest_impostors

Search = Literal["product", "exact", "ivf", "hnsw"]
IMAGES_PER_IDENTITY = 12
TILE = (1024, 4096)
DESCRIPTION = """\
Seconds and peak memory of nearest_impostors, k = 10, over embeddings of identities with about 12
images each: centres of unit length in a subspace of 24 dimensions, with noise around them.

  product   the bare blocked matrix product x·xᵀ, tile by tile into one buffer: the floor
  exact     all pairs, in the same tiles
  ivf       FAISS's inverted lists; hnsw: its graph; both with their building

Each search is a process of its own, so that its peak memory is its own; "added" is the peak less
what the process held once the embeddings were made. Recall is against exact search for 1,000
samples.
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    search: str
    samples: int
    dim: int
    threads: int
    seconds: float
    times_product: float | None
    added_mib: float
    recall: float | None


def clustered(samples: int, dim: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Unit embeddings in identities of about 12, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    identities = max(2, samples // IMAGES_PER_IDENTITY)
    labels = torch.randint(identities, (samples,), generator=generator)
    inner = min(24, dim)
    directions = torch.linalg.qr(torch.randn(dim, inner, generator=generator)).Q
    centres = torch.randn(identities, inner, generator=generator) @ directions.T
    x = torch.randn(samples, dim, generator=generator).mul_(0.25).add_(centres[labels])
    return torch.nn.functional.normalize(x, out=x), labels


def product(x: Tensor) -> None:
    """All tiles of x·xᵀ, each into the same buffer."""
    buffer = torch.empty(TILE)
    for rows in torch.split(x, TILE[0]):
        for columns in torch.split(x, TILE[1]):
            if len(rows) == TILE[0] and len(columns) == TILE[1]:
                torch.mm(rows, columns.T, out=buffer)
            else:
                torch.mm(rows, columns.T)


def peak_mib() -> float:
    """Most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(
    search: Search, samples: int, dim: int, k: int, threads: int
) -> tuple[float, float, float | None]:
    """Seconds, added memory and recall of one search."""
    torch.set_num_threads(threads)
    import faiss

    faiss.omp_set_num_threads(threads)
    x, labels = clustered(samples, dim)
    product(x[:2048])  # so that the first run does not pay for the threads
    before = peak_mib()
    start = perf_counter()
    if search == "product":
        product(x)
        return perf_counter() - start, peak_mib() - before, None
    found = nearest_impostors(x, labels, k, index=search)
    seconds, added = perf_counter() - start, peak_mib() - before
    recall = None
    if search != "exact":
        some = np.linspace(0, samples - 1, min(1000, samples)).astype(np.int64)
        exact = nearest_impostors(x, labels, k, anchors=some)
        recall = type(found)(found.distances[some], found.indices[some]).recall(exact)
    return seconds, added, recall


def rows_of(options: argparse.Namespace) -> Iterator[Row]:
    """The table's rows, one at a time; seconds are the least of the repeats."""
    context = multiprocessing.get_context("spawn")
    for samples in options.samples:
        floor = None
        for search in options.searches:
            runs = []
            for _ in range(options.repeats):
                with context.Pool(1) as pool:
                    setting = (search, samples, options.dim, options.k, options.threads)
                    runs.append(pool.apply(measure, setting))
            seconds, added, recall = min(runs, key=lambda run: run[0])
            floor = seconds if search == "product" else floor
            yield Row(
                search=search,
                samples=samples,
                dim=options.dim,
                threads=options.threads,
                seconds=seconds,
                times_product=seconds / floor if floor else None,
                added_mib=added,
                recall=recall,
            )


def run(options: argparse.Namespace) -> int:
    """Print the table as it comes, and keep it as CSV."""
    columns = ("seconds", "× product", "added MiB", "recall")
    print(f"{'search':<10}{'samples':>11}" + "".join(f"{name:>12}" for name in columns))
    rows = []
    for row in rows_of(options):
        times = f"{row.times_product:.2f}" if row.times_product else "-"
        recall = "-" if row.recall is None else f"{row.recall:.4f}"
        print(
            f"{row.search:<10}{row.samples:>11,}{row.seconds:>12.2f}{times:>12}"
            f"{row.added_mib:>12,.0f}{recall:>12}",
            flush=True,
        )
        rows.append(row)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_table(options.out, pd.DataFrame(map(asdict, rows)))
    return 0


def add_command(commands: Any) -> None:
    """Add ``offline`` to the command line."""
    command = commands.add_parser(
        "offline",
        help="hard impostors of a whole set",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    sizes = [10_000, 100_000, 1_000_000]
    add("--samples", type=int, nargs="+", default=sizes, metavar="N", help="data set sizes")
    kinds = ["product", "exact", "ivf", "hnsw"]
    add("--searches", nargs="+", choices=kinds, default=kinds, help="default: all")
    add("--dim", type=int, default=128, help="default 128")
    add("--k", type=int, default=10, help="impostors per sample, default 10")
    add("--threads", type=int, default=2, help="default 2")
    add("--repeats", type=int, default=3, help="figures are the best of so many, default 3")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
    command.set_defaults(run=run)
