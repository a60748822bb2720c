"""The program on the page about several processes, and the weights it ends with."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.distributed.group import ended

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"


def main(path: Path) -> None:
    torch.set_num_threads(1)
    # Rounding may decide what is mined; of float64 it does not.
    torch.set_default_dtype(torch.float64)
    program, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(program, str(PAGE), "exec"), names)
    network: nn.Module = names["network"]
    weights = torch.cat([each.detach().flatten() for each in network.parameters()])
    path.write_text(json.dumps({"weights": weights.tolist(), "loss": float(names["value"])}))
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
