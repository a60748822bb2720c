"""``python -m benchmarks.speed mining``: every miner and the loss over all triplets."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.devices import CPU, add_device
from benchmarks.files import write_table
from benchmarks.speed.contenders import CONTENDERS, Contender, open_metric_learning, runnable
from benchmarks.speed.picture import draw_speed
from benchmarks.speed.timing import Work, peak_extra_mib, side_by_side

DESCRIPTION = """\
Median milliseconds of each miner, and of the loss over all triplets forward and backward, eager
and compiled, beside pytorch-metric-learning's and beside one bare N×N×D matrix product (the
floor). All are timed in turns, so the ratios hold on a machine that does other things too.

Embeddings are random and of unit length, P identities with K images each. What would need more
than half of the device's memory (4 GiB with --quick) is not run; the note says how much that is.
"""

EPILOG = """\
what comes out, in --out:
  speed.csv   batch, method, who, median ms, ratio to the floor and to the incumbent, peak MiB
  speed.png   time against N, with the floor

examples:
  python -m benchmarks.speed --quick
  python -m benchmarks.speed mining --grid 256x4x128,45x40x128 --out runs/speed
"""


class Batch(NamedTuple):
    """P identities with K images each, in D dimensions."""

    p: int
    k: int
    d: int

    @property
    def n(self) -> int:
        """Rows of the batch."""
        return self.p * self.k

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Embeddings of unit length and labels, the same numbers on any device."""
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(self.n, self.d, generator=generator)
        labels = torch.arange(self.p).repeat_interleave(self.k)
        return torch.nn.functional.normalize(x).to(device), labels.to(device)


QUICK = "32x4x128,256x4x128,45x40x128"
FULL = "32x4x128,128x4x128,256x4x128,256x4x512,512x4x128,45x40x128,2048x4x128"


def main(arguments: Sequence[str] | None = None) -> int:
    """Time, print the table, write the CSV and the picture."""
    options = parser("mining", DESCRIPTION, EPILOG, QUICK, FULL).parse_args(arguments)
    table = measured(options, CONTENDERS, QUICK, FULL)
    write_table(options.out / "speed.csv", table)
    draw_speed(table, options.out / "speed.png")
    print(options.out / "speed.csv", options.out / "speed.png", sep="\n")
    return 0


def measured(
    options: argparse.Namespace, contenders: Sequence[Contender], quick: str, full: str
) -> pd.DataFrame:
    """Time all of them on all batches, and print the table.

    Args:
        options: from :func:`parser`.
        contenders: what is timed.
        quick: batches with ``--quick``.
        full: batches without.
    """
    chosen = options.grid or (quick if options.quick else full)
    grid = [Batch(*map(int, item.split("x"))) for item in chosen.split(",")]
    torch.set_num_threads(options.threads or torch.get_num_threads())
    reason = open_metric_learning()[1]
    rows: list[dict[str, object]] = []
    work = [(batch, contender) for batch in grid for contender in contenders]
    bar = tqdm(work, unit="method")
    for batch, contender in bar:
        bar.set_description(f"{batch.p}×{batch.k} {contender.name}")
        rows += measure(
            batch,
            contender,
            seconds=0.3 if options.quick else 2.0,
            allowed_bytes=4 * 2**30 if options.quick else memory_bytes(options.device) / 2,
            device=options.device,
        )
    table: pd.DataFrame = pd.DataFrame(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"\n{options.device}, {torch.get_num_threads()} threads; {reason}\n")
    print(readable(table), end="\n\n")
    return table


def measure(
    batch: Batch,
    contender: Contender,
    *,
    seconds: float,
    allowed_bytes: float,
    device: torch.device = CPU,
) -> list[dict[str, object]]:
    """One method on one batch: the floor, ours, theirs, in turns.

    Args:
        batch: its size.
        contender: the method.
        seconds: for each of them.
        allowed_bytes: the incumbent is not run where it would need more.
        device: where all of them run.

    Returns:
        One row for each of them.
    """
    x, labels = batch.tensors(device)
    parts = {"eager": contender.ours(False)}
    if contender.compiles:
        parts["compiled"] = contender.ours(True)
    note = ""
    if contender.theirs is not None:
        note = _why_not(contender, batch, allowed_bytes)
        if not note:
            parts["pml"] = contender.theirs()
    work: dict[str, Work] = {"product": functools.partial(_product, x)}
    for name, part in parts.items():
        work[name] = functools.partial(
            runnable(part, x, labels, is_loss=contender.is_loss), x, labels
        )
    theirs = open_metric_learning()[0] if contender.name == "batch-hard" else None
    if theirs is not None:
        work["oml"] = functools.partial(theirs, x, labels)
    if "compiled" in work:
        work["compiled"]()  # compilation is neither timed nor weighed
    peaks = {name: peak_extra_mib(function, device) for name, function in work.items()}
    times = side_by_side(work, seconds=seconds, device=device)
    rows: list[dict[str, object]] = [
        {
            **batch._asdict(),
            "n": batch.n,
            "method": contender.name,
            "who": name,
            "median_ms": times[name],
            "times_product": times[name] / times["product"],
            "times_faster_than_pml": times.get("pml", float("nan")) / times[name],
            "peak_mib": peaks[name],
            "note": "",
        }
        for name in work
    ]
    if note:
        rows.append(
            {
                **batch._asdict(),
                "n": batch.n,
                "method": contender.name,
                "who": "pml",
                "note": note,
            }
        )
    return rows


def memory_bytes(device: torch.device) -> int:
    """Memory of the device; of the machine where the device has none of its own."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def readable(table: pd.DataFrame) -> str:
    """The table for a terminal.

    Args:
        table: rows of :func:`measure`.
    """
    shown = table[table["who"] != "product"].copy()
    shown.insert(0, "batch", [f"{p}×{k}, D={d}" for p, k, d in shown[["p", "k", "d"]].to_numpy()])
    names = {
        "median_ms": "ms",
        "times_product": "× product",
        "times_faster_than_pml": "faster than pml",
        "peak_mib": "peak MiB",
    }
    for column, digits in zip(names, (2, 1, 1, 0), strict=True):
        shown[column] = [
            "–" if pd.isna(value) else f"{value:.{digits}f}" for value in shown[column]
        ]
    columns = ["batch", "method", "who", *names, "note"]
    text: str = shown[columns].rename(columns=names).to_string(index=False)
    return text


def _product(x: Tensor) -> None:
    """The floor, in parts: of many rows the whole would not fit into memory."""
    for rows in torch.split(x, 8192):
        rows @ x.T


def _why_not(contender: Contender, batch: Batch, allowed_bytes: float) -> str:
    """Why the incumbent is not run here, with the arithmetic; empty if it is."""
    needed = contender.their_bytes(batch.n, batch.k)
    if needed > allowed_bytes:
        return (
            f"not run: its lists or matrices take {needed / 2**30:.1f} GiB, more than "
            f"the {allowed_bytes / 2**30:.0f} GiB allowed"
        )
    if batch.n > contender.their_largest:
        return f"not run: N > {contender.their_largest}"
    return ""


def parser(
    word: str, description: str, epilog: str, quick: str, full: str
) -> argparse.ArgumentParser:
    """The options of a program that times contenders on batches.

    Args:
        word: its name.
        description: what it does.
        epilog: what comes out, and examples.
        quick: batches with ``--quick``.
        full: batches without.
    """
    options = argparse.ArgumentParser(
        prog=f"python -m benchmarks.speed {word}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--quick", action="store_true", help=f"few batches ({quick}), under two minutes")
    add("--grid", metavar="PxKxD,…", help=f"default: {full}")
    add("--threads", type=int, help="default: torch's own choice")
    add_device(options)
    add("--out", type=Path, default=Path("runs/speed"), metavar="DIR", help="default: runs/speed")
    return options
