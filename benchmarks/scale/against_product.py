"""Seconds and memory of what compares embeddings, beside the bare product of as many pairs."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.devices import CPU, add_device, wait
from benchmarks.scale.clustered import clustered
from benchmarks.scale.table import Column, show

TILE = (1024, 4096)
ALL_UP_TO = 100_000
ANCHORS = 10_000
WARM_UP = 2_000


class Data(NamedTuple):
    """What a measure is given: the first ``anchors`` samples are compared with all."""

    x: Tensor
    labels: Tensor
    anchors: int
    k: int


@dataclass(frozen=True)
class Measure:
    """What is timed. Its functions are a module's own, so that another process finds them."""

    run: Callable[[Data], Any]
    recall: Callable[[Data, Any], float] | None = None
    """Share of what was to be found that was; not timed."""
    all_samples: bool = False
    """Everyone is an anchor, however many are asked for."""
    all_pairs: bool = False
    """Has no meaning for some anchors."""
    own_pairs: bool = False
    """Compares pairs of its own, whatever the anchors."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    measure: str
    samples: int
    anchors: int | None
    dim: int
    threads: int
    seconds: float | None
    cpu_s: float | None
    times_product: float | None
    added_mib: float | None
    recall: float | None
    note: str


COLUMNS = (
    Column("measure", "measure", "<14"),
    Column("samples", "samples", ">11,"),
    Column("anchors", "anchors", ">11,"),
    Column("seconds", "seconds", ">11.2f"),
    Column("cpu_s", "CPU s", ">11.2f"),
    Column("times_product", "× product", ">11.2f"),
    Column("added_mib", "added MiB", ">11,.0f"),
    Column("recall", "recall", ">9.4f"),
    Column("note", "", "<2"),
)


def product(data: Data) -> None:
    """All tiles of the anchors against everyone, each into the same buffer."""
    buffer = torch.empty(TILE, device=data.x.device)
    for rows in torch.split(data.x[: data.anchors], TILE[0]):
        for columns in torch.split(data.x, TILE[1]):
            if len(rows) == TILE[0] and len(columns) == TILE[1]:
                torch.mm(rows, columns.T, out=buffer)
            else:
                torch.mm(rows, columns.T)


PRODUCT = Measure(product)


def peak_mib(device: torch.device) -> float:
    """Most memory that this process ever held on the device, in MiB; NaN if nothing tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if device.type != "cpu":
        return math.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Cost(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_s: float
    added_mib: float
    recall: float | None


def cost(
    measure: Measure,
    samples: int,
    anchors: int,
    dim: int,
    k: int,
    threads: int,
    device: torch.device = CPU,
) -> Cost:
    """One run, after a small one: imports and threads are not what is measured."""
    import faiss

    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    measure.run(_data(WARM_UP, WARM_UP, dim, k, device))
    data = _data(samples, anchors, dim, k, device)
    wait(device)
    before, start, cpu = peak_mib(device), perf_counter(), process_time()
    found = measure.run(data)
    wait(device)
    seconds, cpu_s = perf_counter() - start, process_time() - cpu
    added = peak_mib(device) - before
    return Cost(seconds, cpu_s, added, measure.recall(data, found) if measure.recall else None)


def _data(samples: int, anchors: int, dim: int, k: int, device: torch.device) -> Data:
    x, labels = clustered(samples, dim)
    return Data(x.to(device), labels.to(device), anchors, k)


def in_own_process(function: Callable[..., Any], *arguments: object) -> Any:
    """What the function returns; its memory is its own."""
    # Threads that wait must not count as work.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def rows_of(measures: Mapping[str, Measure], options: argparse.Namespace) -> Iterator[Row]:
    """The table's rows, one at a time; the quickest of the repeats."""
    for samples in options.samples:
        asked = options.anchors or (samples if samples <= ALL_UP_TO else ANCHORS)
        floor = None
        for name in options.measures:
            measure = measures[name]
            anchors = samples if measure.all_samples else min(asked, samples)
            best, note = _best(measure, samples, anchors, options)
            if best and name == "product":
                floor = _work(best, options.device) / anchors
            times = None
            if best and floor and not measure.own_pairs:
                times = _work(best, options.device) / anchors / floor
            yield Row(
                measure=name,
                samples=samples,
                anchors=None if measure.own_pairs else anchors,
                dim=options.dim,
                threads=options.threads,
                seconds=best and best.seconds,
                cpu_s=best and best.cpu_s,
                times_product=times,
                added_mib=best and best.added_mib,
                recall=best and best.recall,
                note=note,
            )


def _best(
    measure: Measure, samples: int, anchors: int, options: argparse.Namespace
) -> tuple[Cost | None, str]:
    """The quickest run, or why there is none."""
    if measure.all_pairs and anchors < samples:
        pairs = samples * (samples - 1) // 2
        return None, f"  left out: it is of all {pairs:.1e} pairs, not of {anchors:,} anchors"
    size = (samples, anchors, options.dim, options.k, options.threads, options.device)
    try:
        runs = [in_own_process(cost, measure, *size) for _ in range(options.repeats)]
    except BrokenProcessPool:  # killed, as the system does when memory ends
        return None, "  its process was killed: not enough memory?"
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch's
            return None, "  not enough memory"
        raise
    return min(runs, key=lambda run: _work(run, options.device)), ""


def _work(cost: Cost, device: torch.device) -> float:
    """What a run is judged by: an accelerator's work does not show in the processor's seconds."""
    return cost.cpu_s if device.type == "cpu" else cost.seconds


def add_table(
    commands: Any, name: str, *, help: str, description: str, measures: Mapping[str, Measure]
) -> None:
    """Add a command that prints the table of some measures as it comes, and keeps it as CSV.

    Args:
        commands: of the parser.
        name: of the command.
        help: in a line.
        description: at length.
        measures: by the name in the table.
    """
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(command, measures)
    command.set_defaults(run=lambda options: show(rows_of(measures, options), COLUMNS, options.out))


def _add_arguments(command: argparse.ArgumentParser, measures: Mapping[str, Measure]) -> None:
    """What both tables are asked with."""
    add = command.add_argument
    sizes = [10_000, 100_000, 1_000_000]
    add("--samples", type=int, nargs="+", default=sizes, metavar="N", help="data set sizes")
    most = f"default all up to {ALL_UP_TO:,} samples, {ANCHORS:,} of more"
    add("--anchors", type=int, metavar="N", help=f"how many are compared with all; {most}")
    names = list(measures)
    add("--measures", nargs="+", choices=names, default=names, help="default: all")
    add("--dim", type=int, default=128, help="default 128")
    add("--k", type=int, default=10, help="impostors per sample, default 10")
    add("--threads", type=int, default=2, help="default 2")
    add_device(command)
    add("--repeats", type=int, default=3, help="figures are the best of so many, default 3")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
