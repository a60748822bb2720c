"""The recipes on several processes: where they end, what they refuse, what they leave."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, patch

import torch
import torch.distributed as dist
from torch import Tensor, nn

from metricface.distributed import rank, world_size
from metricface.distributed.alike import everywhere
from metricface.losses import TripletLoss
from metricface.recipes import embed
from metricface.recipes.embed import embed_together
from metricface.recipes.processes.network import from_rank_0
from metricface.samplers import PKSampler
from tests.distributed.group import ended, joined
from tests.distributed.page_program import DOCS
from tests.distributed.trainings import (
    DATA,
    TRAININGS,
    Net,
    Stop,
    in_chunks,
    monitored,
    outcome,
    restless,
    trained,
    triplets,
)
from tests.recipes.toys import KilledError, quick


def heard(folder: Path) -> dict[str, str]:
    """What every rank is told of what only one of them did wrong."""

    def fail(*_: Tensor) -> dict[str, float]:
        raise LookupError(f"no measure on rank {rank()}")

    class Odd(Exception):  # noqa: N818  (one that cannot be pickled)
        pass

    def odd() -> None:
        if rank() > 0:
            raise Odd("of a kind")

    odd_one = rank() == world_size() - 1
    made_before = PKSampler(DATA.labels, 4, 2, rank=0, world_size=1)
    cases: dict[str, Any] = {
        "in use": lambda: triplets(folder / "in use"),
        "options": lambda: triplets(lr=0.02 if odd_one else 0.01),
        "folder": lambda: triplets(folder / "one" if odd_one else None),
        "steps": lambda: trained(Net(), TripletLoss(), steps=0 if odd_one else 1),
        "sampler": lambda: trained(Net(), TripletLoss(), sampler=made_before),
        "measure": lambda: trained(Net(), TripletLoss(), options=quick(evaluate=fail)),
        "synchronised": lambda: trained(
            Net(nn.BatchNorm1d(16)), TripletLoss(), options=quick(sync_batch_norm=True)
        ),
        "unlike": lambda: everywhere(odd),
        "tqdm": lambda: triplets(progress=True),
        "torch.utils.tensorboard": lambda: triplets(folder / "no board", tensorboard=True),
    }
    found = {}
    for name, run in cases.items():
        missing = {name: None} if name in ("tqdm", "torch.utils.tensorboard") else {}
        try:
            with patch.dict(sys.modules, missing):
                run()
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def on_the_page(folder: Path) -> dict[str, Any]:
    """The program of the page, in the group that is there."""
    page = DOCS / "distributed.md"
    text = page.read_text(encoding="utf-8")
    (program,) = re.findall(
        r"## The recipes under torchrun\n.*?```python\n(.*?)```", text, re.DOTALL
    )
    names: dict[str, Any] = {}
    group = patch.multiple(dist, init_process_group=DEFAULT, destroy_process_group=DEFAULT)
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    with group:
        exec(compile(program, str(page), "exec"), names)
    row = names["done"].history[-1]
    return {name: value for name, value in row.items() if not name.endswith("seconds")}


def from_the_first() -> list[Any]:
    """Tensors of every kind, which begin differently on every rank."""
    number = rank() + 2
    some = [
        torch.full((2, 3), number).t(),
        torch.tensor(number % 2 == 0),
        torch.full((3,), number / 8, dtype=torch.bfloat16),
        torch.empty(0),
        torch.full((), float(number), dtype=torch.float64),
    ]
    from_rank_0(some)
    return [each.double().tolist() for each in some]


def embedded_together() -> list[bool]:
    """More items than ranks, as many, and fewer."""
    torch.manual_seed(0)
    model = Net()
    found = []
    for count in (10, 3, 2, 1):
        some = DATA.subset(range(count))
        ours, alone = embed_together(model, some), embed(model, some)
        found.append(ours.dtype == alone.dtype and torch.allclose(ours, alone, rtol=1e-12))
    return found


def elastic(folder: Path, draws: float) -> dict[str, Any] | None:
    """The training goes on in its folder, until so many batches are drawn."""
    stop = Stop()
    stop.countdown = draws
    try:
        return outcome(triplets(folder, stop))
    except KilledError:
        return None


def main(path: Path) -> None:
    _, world = joined()
    folder = path.parents[1]
    said: dict[str, Any] = {}
    if world == 2:
        said["elastic"] = elastic(folder / "elastic", 5)
        said["trainings"] = {name: outcome(run()) for name, run in TRAININGS.items()}
        said["records"] = monitored()[1]
        said["reduced"] = in_chunks()[1]
        said["heard"] = heard(folder)
        said["page"] = on_the_page(folder / "page")
        triplets(folder / "watched", tensorboard=True, progress=True)
    else:
        said["elastic"] = elastic(folder / "elastic", 4)
        said["trainings"] = {
            name: outcome(TRAININGS[name]()) for name in ("triplets", "three losses")
        }
        said["from the first"] = from_the_first()
        said["embedded"] = embedded_together()
        said["restless"] = outcome(restless(folder / "whole"))
    path.write_text(json.dumps(said))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
