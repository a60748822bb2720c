"""One of three processes is killed in the midst of ``fit``; started again, all three go on."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import torch.distributed as dist

from tests.distributed.group import ended, joined
from tests.distributed.trainings import Mortal, outcome, restless

#: Of the process group.
TIMEOUT = 20.0


def main(path: Path) -> None:
    joined(TIMEOUT)
    again = path.parent.name == "again"
    try:
        done = restless(path.parents[1] / "killed", dies_at=math.inf if again else 5)
    except RuntimeError:
        path.write_text(json.dumps(time.monotonic() - Mortal.last))
        ended()
    path.write_text(json.dumps(outcome(done)))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
