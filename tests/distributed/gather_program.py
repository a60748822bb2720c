"""What ``gather_batch`` gives each of some processes, and what it says of what does not fit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor

from metricface.distributed import gather_batch
from tests.distributed.group import ended, joined
from tests.layouts import draw_rows

DIM = 4
#: Rows of each rank, of which the first two or three are taken.
COUNTS = {
    "even": [4, 4, 4],
    "uneven": [5, 1, 3],
    "first empty": [0, 3, 2],
    "last empty": [3, 2, 0],
    "all empty": [0, 0, 0],
}
DTYPES = ["float64", "float32", "float16", "bfloat16"]
NAMES = ["anna", "bo", "", "Łukasz", "a much longer name", "日本"]


def whole(counts: list[int]) -> Tensor:
    return draw_rows(sum(counts), DIM, 3)


def coefficients(rank: int, count: int) -> Tensor:
    """Of a rank's own loss, ``Σ c x``: whole numbers, exact in every dtype."""
    return (draw_rows(count, DIM, 100 + rank) * 4).round()


def gathered(rank: int, counts: list[int], dtype: str) -> dict[str, Any]:
    """Whether rows and gradient are exactly what they should be."""
    kind = getattr(torch, dtype)
    first, count = sum(counts[:rank]), counts[rank]
    own = whole(counts)[first : first + count].to(kind).requires_grad_()
    numbers = torch.arange(first, first + count)
    embeddings, labels, ids = gather_batch(own, numbers + 2**62, numbers)
    loss = (embeddings.double() * coefficients(rank, sum(counts))).sum()
    gradient = torch.autograd.grad(loss, own)[0]
    total = sum(coefficients(r, sum(counts)) for r in range(len(counts)))
    assert isinstance(total, Tensor)
    assert isinstance(labels, Tensor)
    assert isinstance(ids, Tensor)
    return {
        "rows": torch.equal(embeddings, whole(counts).to(kind)),
        "labels": (labels - 2**62).tolist(),
        "ids": ids.tolist(),
        "gradient": torch.equal(gradient.double(), total[first : first + count]),
        "dtype": str(embeddings.dtype),
    }


def shared_out(rank: int, world: int) -> dict[str, Any] | None:
    """The same by a reduce-scatter, which not every version of gloo has."""
    try:
        with patch("metricface.distributed.rows.can_reduce_scatter", lambda _: True):
            return gathered(rank, COUNTS["uneven"][:world], "float32")
    except RuntimeError as error:
        if "does not support" in str(error):
            return None
        raise


def strings(rank: int, world: int) -> list[str]:
    """Names from all ranks; the first brings none, and so no kind of label either."""
    share = NAMES[(rank - 1) * 2 : rank * 2] if rank else []
    _, labels, ids = gather_batch(torch.zeros(len(share), DIM), share, [f"{s}!" for s in share])
    assert not isinstance(ids, Tensor | None)
    assert [f"{label}!" for label in labels] == ids.tolist()
    return [str(label) for label in labels]


def without_gradient(rank: int, world: int) -> list[bool]:
    """One rank's rows have no history: it goes backward all the same, or the others wait."""
    own = torch.ones(2, DIM, requires_grad=rank > 0)
    embeddings = gather_batch(own, [0, 1]).embeddings
    torch.autograd.backward(embeddings.sum())
    with torch.no_grad():
        unasked = gather_batch(own, [0, 1]).embeddings
    right = (rank == 0) == (own.grad is None) and (own.grad is None or own.grad.eq(world).all())
    return [embeddings.requires_grad, bool(right), unasked.requires_grad]


def refused(rank: int, world: int) -> dict[str, str]:
    """What every rank hears when the last one brings something else than the others."""
    odd = rank == world - 1
    x, labels = torch.zeros(2, DIM), torch.tensor([0, 1])
    nan = x.clone()
    nan[1, 0] = float("nan")
    other: dict[str, Callable[[], tuple[Any, ...]]] = {
        "dimension": lambda: (torch.zeros(2, DIM + 1), labels),
        "dtype": lambda: (x.double(), labels),
        "ids": lambda: (x, labels, labels),
        "kind": lambda: (x, ["a", "b"]),
        "NaN": lambda: (nan, labels),
        "number": lambda: (x, labels[:1]),
        "matrix": lambda: (x, torch.eye(2, dtype=torch.bool)),
        "unsigned": lambda: (x, [0, 2**63]),
        "unsigned tensor": lambda: (x, torch.tensor([2**63, 0], dtype=torch.uint64)),
        "type": lambda: (x.long(), labels),
        "nothing": lambda: (None, labels),
    }
    heard = {}
    for name, make in other.items():
        try:
            gather_batch(*(make() if odd else (x, labels)))
        except ValueError as error:
            heard[name] = str(error)
    return heard


def main(path: Path) -> None:
    rank, world = joined()
    said: dict[str, Any] = {
        f"{name}, {dtype}": gathered(rank, counts[:world], dtype)
        for name, counts in COUNTS.items()
        for dtype in DTYPES
    }
    said["shared out"] = shared_out(rank, world)
    said["strings"] = strings(rank, world)
    said["without gradient"] = without_gradient(rank, world)
    said["refused"] = refused(rank, world)
    path.write_text(json.dumps(said))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
