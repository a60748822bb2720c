"""One of three processes is killed in the middle of a training and of its evaluation."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from metricface.distributed import gather_batch
from metricface.evaluation import class_distances
from tests.distributed.group import ended, joined

#: Of the process group.
TIMEOUT = 10.0


def main(path: Path) -> None:
    rank, _ = joined(TIMEOUT)
    x = torch.zeros(2, 4)
    gather_batch(x, [0, 1])
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    began = time.monotonic()
    with suppress(RuntimeError):
        gather_batch(x, [0, 1])
    try:
        class_distances(torch.eye(4), [0, 0, 1, 1], across_ranks=True)
    except RuntimeError:
        path.write_text(json.dumps(time.monotonic() - began))
        ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
