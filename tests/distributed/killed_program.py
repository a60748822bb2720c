"""One of three processes is killed in the middle of a training."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from metricface.distributed import gather_batch
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
    try:
        gather_batch(x, [0, 1])
    except RuntimeError:
        path.write_text(json.dumps(time.monotonic() - began))
        ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
