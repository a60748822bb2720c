"""The recipes on several processes: where they end, what they refuse, what they leave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from metricface.distributed import rank, world_size
from metricface.distributed.alike import everywhere
from metricface.losses import TripletLoss
from metricface.samplers import PKSampler
from tests.distributed.group import ended, joined
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
    }
    found = {}
    for name, run in cases.items():
        try:
            run()
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
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
        triplets(folder / "watched", tensorboard=True, progress=True)
    else:
        said["elastic"] = elastic(folder / "elastic", 4)
        said["trainings"] = {
            name: outcome(TRAININGS[name]()) for name in ("triplets", "three losses")
        }
        said["restless"] = outcome(restless(folder / "whole"))
    path.write_text(json.dumps(said))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
