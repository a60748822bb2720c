"""``python -m benchmarks.speed classifiers``: a training step of every cosine head."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.devices import CPU, add_device
from benchmarks.files import write_table
from benchmarks.speed.timing import Work, peak_extra_mib, side_by_side
from metricface.classifiers import (
    COCO,
    ArcFace,
    ASoftmax,
    CombinedMargin,
    CosFace,
    GBCosFace,
    ModifiedSoftmax,
    NormFace,
)

DESCRIPTION = """\
Median milliseconds of forward and backward of each head with normalised class weights, beside the
three bare matrix products that none can do without (logits = E·Wᵀ, dE = G·W, dW = Gᵀ·E) and
beside pytorch-metric-learning's heads. All are timed in turns, so the ratios hold on a machine
that does other things too. Peak memory is what a step holds beyond weights and embeddings, the
gradients included; one array of B×C and the gradient of the weights are the least there can be.

The default size is MS1MV2's: 85,742 identities, 512 dimensions, batch 256.
"""

HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    "ModifiedSoftmax": ModifiedSoftmax,
    "NormFace": NormFace,
    "CosFace": CosFace,
    "ArcFace": ArcFace,
    "CombinedMargin": CombinedMargin,
    "ASoftmax": ASoftmax,
    "GBCosFace": GBCosFace,
    "COCO": COCO,
}


def theirs() -> dict[str, Callable[[int, int], nn.Module]]:
    """pytorch-metric-learning's heads of the same definition."""
    from pytorch_metric_learning import losses

    def arcface(classes: int, dim: int) -> Any:
        return losses.ArcFaceLoss(classes, dim, margin=math.degrees(0.5))

    return {
        "pml NormalizedSoftmaxLoss": losses.NormalizedSoftmaxLoss,
        "pml CosFaceLoss": losses.CosFaceLoss,
        "pml ArcFaceLoss": arcface,
    }


def products(embeddings: Tensor, classes: int) -> Work:
    """The three products a linear classifier needs, and nothing else."""
    x = embeddings.detach()
    weight = torch.randn(classes, x.shape[1], device=x.device)
    gradient = torch.randn(len(x), classes, device=x.device)

    def work() -> tuple[Tensor, Tensor, Tensor]:
        return x @ weight.T, gradient @ weight, gradient.T @ x

    return work


def step(head: nn.Module, embeddings: Tensor, labels: Tensor) -> Work:
    """Forward and backward, with fresh gradients for embeddings and weights."""

    def work() -> None:
        embeddings.grad = None
        head.zero_grad(set_to_none=True)
        head(embeddings, labels).backward()

    return work


def measure(
    classes: int,
    dim: int,
    batch: int,
    *,
    seconds: float,
    peers: bool,
    device: torch.device = CPU,
) -> pd.DataFrame:
    """Time all heads at one size.

    Args:
        classes: C.
        dim: D.
        batch: B.
        seconds: for each head.
        peers: whether pytorch-metric-learning's are timed too.
        device: where all of them run.

    Returns:
        A row for each, the bare products first.
    """
    torch.manual_seed(0)
    embeddings = torch.randn(batch, dim).to(device).requires_grad_()
    labels = torch.randint(classes, (batch,)).to(device)
    work = {"three products": products(embeddings, classes)}
    for name, make in (HEADS | (theirs() if peers else {})).items():
        work[name] = step(make(classes, dim).to(device), embeddings, labels)
    peaks = {name: peak_extra_mib(one, device) for name, one in work.items()}
    times = side_by_side(work, seconds=seconds, device=device)
    rows = {
        "head": list(work),
        "median_ms": [times[name] for name in work],
        "times_products": [times[name] / times["three products"] for name in work],
        "peak_mib": [peaks[name] for name in work],
    }
    table: pd.DataFrame = pd.DataFrame(rows).assign(classes=classes, dim=dim, batch=batch)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Time, print the table, write the CSV."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    table = measure(
        options.classes,
        options.dim,
        options.batch,
        seconds=options.seconds,
        peers=options.peers,
        device=options.device,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "classifiers.csv"
    write_table(file, table)
    least = (options.classes * (options.batch + options.dim)) * 4 / 2**20
    print(f"{options.device}, {torch.get_num_threads()} threads")
    print(f"B×C and C×D floats together {least:.0f} MiB\n")
    columns = ["head", "median_ms", "times_products", "peak_mib"]
    print(
        table[columns]
        .round({"median_ms": 1, "times_products": 2, "peak_mib": 0})
        .to_string(index=False)
    )
    print(f"\n{file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed classifiers",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--classes", type=int, default=85_742, help="default: 85742")
    add("--dim", type=int, default=512, help="default: 512")
    add("--batch", type=int, default=256, help="default: 256")
    add("--seconds", type=float, default=8.0, help="for each head; default: 8")
    add("--threads", type=int, help="default: torch's own choice")
    add_device(parser)
    add("--no-peers", dest="peers", action="store_false", help="only our own heads")
    add("--out", type=Path, default=Path("runs/speed"), metavar="DIR", help="default: runs/speed")
    return parser
