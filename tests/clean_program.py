"""What somebody has who installed the wheel with torch, NumPy and SciPy alone.

``python -I -S tests/clean_program.py WHEEL PACKAGES``: nothing else can be imported.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import warnings


def step() -> float:
    """A training step, and the loss after it less the loss before."""
    import torch

    from metricface.losses import TripletLoss
    from metricface.miners import SemiHardMiner
    from metricface.samplers import PKSampler

    torch.manual_seed(0)
    labels = torch.arange(64) // 4
    images = torch.randn(16, 8)[labels] + 0.3 * torch.randn(64, 8)
    model = torch.nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    miner, loss_of = SemiHardMiner(), TripletLoss()
    batch = torch.tensor(next(iter(PKSampler(labels, p=8, k=4))))
    values: list[float] = []
    for _ in range(2):
        embeddings = model(images[batch])
        value = loss_of(embeddings, labels[batch], miner(embeddings.detach(), labels[batch]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(loss_of(model(images[batch]), labels[batch]).item())
    return values[1] - values[0]


def main(wheel: str, packages: str) -> None:
    """Print what was found, as JSON."""
    sys.path += [packages, wheel]
    import torch  # noqa: F401

    before = set(sys.modules)
    import metricface

    for name in ("distances", "losses", "miners", "samplers"):
        importlib.import_module(f"metricface.{name}")
    added = {name.split(".")[0] for name in set(sys.modules) - before}
    lacking = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in pkgutil.walk_packages(metricface.__path__, "metricface."):
            try:
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
            except ImportError as error:
                lacking[module.name] = str(error)
    found = {
        "file": metricface.__file__,
        "added": sorted(added - set(sys.stdlib_module_names)),
        "lacking": lacking,
        "step": step(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
