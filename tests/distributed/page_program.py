"""The program on a page about several processes, and the weights it ends with."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.distributed.group import ended

DOCS = Path(__file__).parents[2] / "docs"


def main(path: Path, page: str) -> None:
    torch.set_num_threads(1)
    # Rounding may decide what is mined; of float64 it does not.
    torch.set_default_dtype(torch.float64)
    os.chdir(path.parent)  # where a program saves its checkpoints
    program = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)[0]
    starts = [program]
    if page != "distributed.md":  # stopped after two epochs, last saved in the second one's midst
        stopped = program.replace("epochs = 3", "epochs = 2")
        assert stopped != program
        # The rate is in the checkpoint: a start that does not resume ends with other weights.
        resumed = program.replace("lr=0.1", "lr=0.5")
        assert resumed != program
        starts = [stopped.replace("accelerator.end_training()", ""), resumed]
    environment = dict(os.environ)
    for start in starts:
        os.environ.update(environment)  # Lightning removes what torchrun had set
        names: dict[str, Any] = {}
        exec(compile(start, page, "exec"), names)
    network: nn.Module = names["network"]
    weights = torch.cat([each.detach().flatten() for each in network.parameters()])
    logged = names["trainer"].callback_metrics["loss"] if "trainer" in names else names["value"]
    path.write_text(json.dumps({"weights": weights.tolist(), "loss": float(logged)}))
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
