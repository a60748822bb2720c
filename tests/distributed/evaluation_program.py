"""Evaluation and search by several ranks beside one process, on the same sets."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from metricface import evaluation as ev
from metricface import offline
from metricface.distances import Cosine, Euclidean, tiles
from metricface.evaluation.streaming import EmbeddingMetric
from tests.distributed.group import ended, joined
from tests.evaluation.small_tiles import small_tiles
from tests.layouts import draw_rows

NAMES = np.array(["anna", "bo", "", "Łukasz", "a much longer name", "日本"])
Answer = Callable[..., Any]


def cluster(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Six identities that overlap."""
    labels = torch.arange(count) * 5 // 2 % 6
    return draw_rows(6, 6, 50)[labels] + draw_rows(count, 6, seed), labels


def sets() -> dict[str, tuple[Any, Any]]:
    x, labels = cluster(41)
    ties = (x[:, :2] * 2).round()
    few = torch.tensor([0, 0, 1, 1])
    return {
        "float32": (x.float(), labels),
        "float64, array": (x.numpy(), NAMES[labels]),
        "float16": (x.half(), labels.int()),
        "ties": (ties.float(), NAMES[labels]),
        "ties, float64": (ties.numpy(), labels.tolist()),
        "collapsed": (torch.ones(13, 4), labels[:13]),
        "few": (x[:4].float(), few),
    }


EXACT = Euclidean(normalize=False)
#: What is asked of every set; the keyword is whether all ranks share in it.
SHARED: dict[str, Answer] = {
    "impostors": lambda x, y, **k: offline.nearest_impostors(x, y, 5, **k),
    "impostors, plain": lambda x, y, **k: offline.nearest_impostors(x, y, 3, distance=EXACT, **k),
    "impostors, margin": lambda x, y, **k: offline.nearest_impostors(
        x, y, 4, margin=(-0.3, 0.4), near_duplicate=0.01, **k
    ),
    "impostors, anchors": lambda x, y, **k: offline.nearest_impostors(
        x, y, 2, anchors=[3, 0], distance=Cosine(), **k
    ),
    "no anchors": lambda x, y, **k: offline.nearest_impostors(x, y, 2, anchors=[], **k),
    "hard pairs": lambda x, y, **k: offline.hard_pairs(x, y, positives=3, negatives=2, **k),
    "look-alikes": lambda x, y, **k: offline.identity_neighbours(x, y, 3, **k),
    "look-alikes, drawn": lambda x, y, **k: offline.identity_neighbours(x, y, 3, by="sample", **k),
    "look-alikes, closest": lambda x, y, **k: offline.identity_neighbours(
        x, y, 3, by="closest", **k
    ),
    "histogram": lambda x, y, **k: ev.class_distances(x, y, bins=16, block=7, **k),
    "verification": lambda x, y, **k: ev.verification(x, y, folds=2, fars=(0.5, 0.3), block=9, **k),
    "listed": lambda x, y, **k: ev.verification(
        x, pairs=[(0, 1), (1, 2), (2, 3), (3, 0)], same=[True, False] * 2, folds=2, fars=(1,), **k
    ),
    "hardest": lambda x, y, **k: ev.hardest_pairs(x, y, count=6, block=7, **k),
    "retrieval, whole ranking": lambda x, y, **k: ev.retrieval(x, y, whole_ranking=True, **k),
    "retrieval": lambda x, y, **k: ev.retrieval(x, y, **k),
    "gallery": lambda x, y, **k: ev.retrieval(x[:3], y[:3], gallery=x, gallery_labels=y, **k),
    "identification": lambda x, y, **k: ev.identification(
        x[::2], y[::2], x[1::2], y[1::2], distractors=x[:3] + 1, **k
    ),
}
X, LABELS = cluster(30)
SET = (X.float(), LABELS)


@contextmanager
def small() -> Iterator[None]:
    """Tiles so small that all sets but one have more of them than there are ranks."""
    with ExitStack() as stack:
        stack.enter_context(small_tiles(8))
        # The functions in them have the modules' names.
        impostors, positives = (
            import_module(f"metricface.offline.{name}") for name in ("impostors", "positives")
        )
        stack.enter_context(patch.object(tiles, "_AREA", 4 * 8))
        stack.enter_context(patch.object(impostors, "_BYTES_AT_ONCE", 8 * 6 * 11))
        stack.enter_context(patch.object(positives, "_TOGETHER", 5))
        yield


def content(value: Any) -> Any:
    """An answer down to its last bit, in a form that can be compared."""
    if is_dataclass(value):
        return [content(getattr(value, each.name)) for each in fields(value)]
    if isinstance(value, Tensor | np.ndarray):
        array = np.asarray(value)
        return [str(array.dtype), list(array.shape), crc32(array.tobytes())]
    return [content(each) for each in value] if isinstance(value, tuple) else repr(value)


def answers(rank: int) -> dict[str, Any]:
    """Of all ranks together; rank 0 adds those of one process."""
    found = {}
    for name, given in sets().items():
        for what, ask in SHARED.items():
            shared = content(ask(*given, across_ranks=True))
            found[f"{what} | {name}"] = [shared, content(ask(*given)) if rank == 0 else None]
    return found


def work(what: str) -> list[int]:
    """Distances that this rank computes: of all ranks' work its share, and all of it alone."""
    counted = [0, 0]
    for place, across in enumerate((True, False)):

        def multiplied(left: Tensor, right: Tensor, out: Tensor, place: int = place) -> Tensor:
            counted[place] += out.numel()
            return torch.mm(left, right, out=out)

        with patch.object(tiles, "multiplied", multiplied):
            SHARED[what](*sets()["float32"], across_ranks=across)
    return counted


def approximate(index: Any) -> list[Any]:
    """Every rank has the answer, and next to nothing is missed."""
    exact = offline.nearest_impostors(*SET, 3)
    found = offline.nearest_impostors(*SET, 3, index=index, across_ranks=True)
    return [content(found), found.recall(exact)]


def heard(ask: Callable[[], object]) -> str:
    """What this rank hears; the group is in step again afterwards."""
    try:
        ask()
    except ValueError as error:
        return str(error)
    return ""


def refused(rank: int, world: int) -> dict[str, str]:
    """The last rank has something else than the others, or something wrong."""
    odd = rank == world - 1
    x, labels = SET
    nan, moved, changed = x.clone(), x.clone(), labels.clone()
    nan[4, 0], moved[4, 0], changed[4] = torch.nan, moved[4, 0] + 1, 9
    both: dict[str, tuple[Any, Any]] = {
        "length": (x[:-1], labels[:-1]),
        "dimension": (x[:, :-1], labels),
        "dtype": (x.double(), labels),
        "labels": (x, changed),
        "a number": (moved, labels),
        "NaN": (nan, labels),
        "type": (x.long(), labels),
    }
    functions = [what for what in SHARED if "," not in what and what not in ("listed", "gallery")]
    found = {
        f"{case} | {what}": heard(
            lambda: SHARED[what](*(given if odd else SET), across_ranks=True)  # noqa: B023
        )
        for case, given in both.items()
        for what in functions
    }
    near, bins = offline.nearest_impostors, ev.class_distances
    more: dict[str, Callable[[bool], object]] = {
        "k": lambda odd: near(*SET, 4 if odd else 5, across_ranks=True),
        "no k": lambda odd: near(*SET, 0 if odd else 5, across_ranks=True),
        "distance": lambda odd: bins(*SET, distance=Cosine(odd), across_ranks=True),
        "bins": lambda odd: bins(*SET, bins=7 if odd else 8, across_ranks=True),
        "form": lambda odd: SHARED["listed" if odd else "verification"](*SET, across_ranks=True),
        "gallery": lambda odd: ev.retrieval(
            x, labels[:, None] == labels, gallery=x[:] if odd else None, across_ranks=True
        ),
        "beyond": lambda odd: bins(*SET, upper=0.1 if odd else 4, across_ranks=True),
    }
    return found | {name: heard(lambda: ask(odd)) for name, ask in more.items()}  # noqa: B023


def broken(rank: int, what: str) -> str:
    """On rank 1 something breaks in the middle of its work."""
    calls = 0

    def breaks(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if rank == 1 and calls == 3:
            raise MemoryError("no more of it")
        return torch.mm(left, right, out=out)

    with patch.object(tiles, "multiplied", breaks):
        return heard(lambda: SHARED[what](*sets()["float32"], across_ranks=True))


def shows_a_bar() -> bool:
    """Whether this rank shows one where all are asked to."""
    with redirect_stderr(io.StringIO()) as shown:
        offline.hard_pairs(*SET, progress=True, across_ranks=True)
    return "positives" in shown.getvalue() and "part 1 of" in shown.getvalue()


def streamed(rank: int, world: int) -> dict[str, float]:
    """Figures of a set of which each rank sees batches, some rows on two of them."""
    metric = EmbeddingMetric(fars=(0.1,))
    x, labels = SET
    for some in torch.split(torch.arange(len(x)), 4)[rank::world]:
        ids = torch.cat([some, some[:1] * 0])  # row 0 with every batch
        metric.update(x[ids], labels[ids], ids)
    return {name: float(value) for name, value in metric.compute().items()}


def main(path: Path) -> None:
    rank, world = joined()
    with small():
        said = {
            "answers": answers(rank),
            "work": {what: work(what) for what in SHARED},
            "approximate": {index: approximate(index) for index in ("ivf", "hnsw")},
            "refused": refused(rank, world),
            "broken": {what: broken(rank, what) for what in SHARED},
            "bar": shows_a_bar(),
            "streamed": streamed(rank, world),
        }
    path.write_text(json.dumps(said))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
