"""One of three processes is killed in the midst of ``fit``; started again, another; then none."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import torch.distributed as dist

from tests.distributed.group import ended, joined
from tests.distributed.trainings import Mortal, outcome, restless

#: Of the process group: also how long one that starts late on a busy machine is waited for.
TIMEOUT = 60.0
#: Which rank is killed when it draws which batch, in the order of starts.
STARTS: dict[str, tuple[int, float]] = {"once": (1, 5), "twice": (0, 2), "no more": (0, math.inf)}


def main(path: Path) -> None:
    joined(TIMEOUT)
    who, batch = STARTS[path.parent.name]
    try:
        done = restless(path.parents[1] / "killed", who, batch)
    except RuntimeError:
        path.write_text(json.dumps(time.monotonic() - Mortal.last))
        ended()
    path.write_text(json.dumps(outcome(done)))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
