"""P×K samplers from ten thousand to ten million images, beside pytorch-metric-learning's."""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch.utils.data import BatchSampler

from benchmarks.scale.table import Column, show
from metricface.samplers import HardIdentitySampler, PKSampler

Labels: TypeAlias = npt.NDArray[np.int64]

IMAGES_PER_IDENTITY = 1_000_000 / 85_000  # as in MS1M
DESCRIPTION = """\
Batches per second, set-up, time to the first batch and peak memory of the samplers, over

  uniform   identities drawn at random, about 12 images each
  zipf      as many identities, the n-th with a share of images in proportion to 1/n

A batch is a Python list of indices. Memory is the peak of what the sampler allocates in set-up
and the first batches, labels not counted, measured in a run of its own because that slows it.

pytorch-metric-learning builds a whole epoch before its first batch; here its epoch is only as
long as the batches measured, so its time to the first batch is the least it can be.
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    sampler: str
    labels: str
    images: int
    identities: int
    setup_s: float
    first_batch_s: float
    batches_per_s: float
    times_peer: float | None
    peak_mib: float
    bytes_per_image: float


def labels_of(kind: str, images: int) -> Labels:
    """Shuffled labels of about 12 images per identity, uniform or long-tailed."""
    rng = np.random.default_rng(0)
    identities = max(round(images / IMAGES_PER_IDENTITY), 1)
    if kind == "uniform":
        return rng.integers(0, identities, images)
    share = 1 / np.arange(1, identities + 1)
    sizes = 1 + np.floor((images - identities) * share / share.sum()).astype(np.int64)
    sizes[0] += images - sizes.sum()
    return rng.permutation(np.repeat(np.arange(identities), sizes))


def ours(coverage: Any) -> Callable[[Labels, int, int, int], Any]:
    """How a PKSampler is made."""
    return lambda labels, p, k, _: PKSampler(labels, p, k, coverage=coverage)


def hard(labels: Labels, p: int, k: int, _: int) -> HardIdentitySampler:
    """Graph Sampling with 50 random neighbours: what they are does not matter to the speed."""
    count = len(np.unique(labels))
    neighbours = np.random.default_rng(0).integers(0, count, (count, 50), dtype=np.int32)
    return HardIdentitySampler(labels, p, k, neighbours)


def peer(labels: Labels, p: int, k: int, batches: int) -> Any:
    """pytorch-metric-learning's sampler behind torch's BatchSampler, as one has to use it."""
    from pytorch_metric_learning.samplers import MPerClassSampler

    sampler = MPerClassSampler(labels, k, p * k, length_before_new_iter=batches * p * k)
    return BatchSampler(sampler, p * k, drop_last=True)


MAKERS: dict[str, Callable[[Labels, int, int, int], Any]] = {
    "pml MPerClassSampler": peer,
    "PKSampler identities": ours("identities"),
    "PKSampler images": ours("images"),
    "HardIdentitySampler": hard,
}


def timed(make: Callable[[], Any], seconds: float) -> tuple[float, float, float]:
    """Set-up, time from nothing to the first batch, and batches per second after that."""
    start = perf_counter()
    sampler = make()
    ready = perf_counter()
    running = iter(sampler)
    next(running)
    first = perf_counter()
    drawn = 0
    while perf_counter() - first < seconds:
        taken = sum(1 for _ in islice(running, 1000))
        drawn += taken
        if taken < 1000:
            running = iter(sampler)
    return ready - start, first - start, drawn / (perf_counter() - first)


def peer_timed(make: Callable[[], Any], batches: int) -> tuple[float, float, float]:
    """As :func:`timed`; the batches are all made before the first, so that counts as well."""
    start = perf_counter()
    sampler = make()
    ready = perf_counter()
    running = iter(sampler)
    next(running)
    first = perf_counter()
    drawn = 1 + sum(1 for _ in running)
    if drawn != batches:
        raise RuntimeError(f"the peer drew {drawn} batches instead of {batches}")
    return ready - start, first - start, drawn / (perf_counter() - ready)


def peak_memory(make: Callable[[], Any]) -> int:
    """Most bytes allocated at a time by set-up and the first 1,000 batches."""
    tracemalloc.start()
    sampler = make()
    for _ in islice(sampler, 1000):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """The rows, one at a time; each figure is a median."""
    for images in options.images:
        for kind in options.labels:
            labels = labels_of(kind, images)
            batches = options.peer_batches
            rate_of_peer = None
            for name, maker in MAKERS.items():
                if name not in options.samplers:
                    continue

                def make(maker: Callable[[Labels, int, int, int], Any] = maker) -> Any:
                    return maker(labels, options.p, options.k, batches)  # noqa: B023

                runs = [
                    peer_timed(make, batches) if maker is peer else timed(make, options.seconds)
                    for _ in range(options.repeats)
                ]
                setup, first, rate = (median(column) for column in zip(*runs, strict=True))
                rate_of_peer = rate if maker is peer else rate_of_peer
                peak = peak_memory(make)
                yield Row(
                    sampler=name,
                    labels=kind,
                    images=images,
                    identities=len(np.unique(labels)),
                    setup_s=setup,
                    first_batch_s=first,
                    batches_per_s=rate,
                    times_peer=rate / rate_of_peer if rate_of_peer else None,
                    peak_mib=peak / 2**20,
                    bytes_per_image=peak / images,
                )


COLUMNS = (
    Column("sampler", "sampler", "<22"),
    Column("labels", "labels", "<9"),
    Column("images", "images", ">11,"),
    Column("setup_s", "set-up s", ">15.3f"),
    Column("first_batch_s", "first batch s", ">15.3f"),
    Column("batches_per_s", "batches/s", ">15,.0f"),
    Column("times_peer", "× peer", ">15,.0f"),
    Column("peak_mib", "peak MiB", ">15,.1f"),
    Column("bytes_per_image", "B/image", ">15,.1f"),
)


def run(options: argparse.Namespace) -> int:
    """Print the table as it comes, and keep it as CSV."""
    return show(measure(options), COLUMNS, options.out)


def add_command(commands: Any) -> None:
    """Add ``samplers`` to the command line."""
    command = commands.add_parser(
        "samplers",
        help="batches per second and memory of the samplers",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    sizes = [10_000, 100_000, 1_000_000, 10_000_000]
    add("--images", type=int, nargs="+", default=sizes, metavar="N", help="data set sizes")
    kinds = ["uniform", "zipf"]
    add("--labels", nargs="+", choices=kinds, default=kinds, help="default: both")
    add("--samplers", nargs="+", choices=list(MAKERS), default=list(MAKERS), help="default: all")
    add("--p", type=int, default=32, help="identities per batch, default 32")
    add("--k", type=int, default=4, help="images per identity, default 4")
    add("--repeats", type=int, default=5, help="figures are the median of so many, default 5")
    add("--seconds", type=float, default=0.5, help="per figure of ours, default 0.5")
    add("--peer-batches", type=int, default=100, help="per figure of the peer, default 100")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
    command.set_defaults(run=run)
