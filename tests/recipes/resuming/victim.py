"""A training to be killed: ``main(folder, trap)`` in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metricface.losses import TripletLoss
from metricface.miners import RandomMiner
from metricface.recipes import fit
from tests.recipes.toys import TRAIN, Noise, quick, restless_network, sampler

STEPS, EVERY = 12, 3


class Slow(Noise):
    """Takes its time, so that someone can come and kill."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        time.sleep(self.pause)
        return super().__call__(images, generator)

    pause = 0.0


def train(folder: Path) -> None:
    """The same training whoever calls it."""
    torch.manual_seed(0)
    options = quick(augment=Slow(), evaluate_every=EVERY)
    fit(
        restless_network(),
        TRAIN,
        TripletLoss(),
        miner=RandomMiner(),
        sampler=sampler(),
        steps=STEPS,
        folder=folder,
        options=options,
    )


def die(*_: object) -> None:
    """No handler runs, no buffer is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def no_links(*_: object, **__: object) -> None:
    """As on a file system that knows none."""
    raise OSError


class Trap:
    """Calls a function, and dies in one of its calls: before it, or having done half."""

    def __init__(self, function: Any, call: int, *, halfway: bool = False) -> None:
        self.function, self.last, self.halfway, self.calls = function, call, halfway, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls < self.last:
            return self.function(*args)
        if self.halfway:
            self.function(*args)
            stream = args[1]
            stream.truncate(stream.tell() // 2)
            stream.flush()
        return die()


def main(folder: str, trap: str) -> None:
    """Set the trap and walk into it."""
    if trap == "slow":
        Slow.pause = 0.2
    elif trap == "stuck":
        Slow.pause = 1000.0
    elif trap == "half a file":
        torch.save = Trap(torch.save, 3, halfway=True)  # type: ignore[assignment]
    else:
        if "no links" in trap:
            os.link = no_links
        # one rename in the first checkpoint, two in every other one
        call = 4 if "the one before" in trap else 5
        os.replace = Trap(os.replace, call)  # type: ignore[assignment]
    torch.set_num_threads(1)
    train(Path(folder))
