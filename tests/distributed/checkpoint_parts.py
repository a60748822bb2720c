"""A training of several heads, split or not, and its checkpoint by torch's own means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.nn.parallel import DistributedDataParallel

from metricface.classifiers import (
    ArcFace,
    ASoftmax,
    Classifier,
    GBCosFace,
    LSoftmax,
    NormFace,
    ShardedClassifier,
    Softmax,
)
from metricface.distributed import rank, world_size
from metricface.losses import MarginLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import RandomMiner
from metricface.recipes import GlobalBatchLoss
from tests.layouts import draw_rows

IN, DIM, CLASSES, ROWS = 5, 4, 7, 12
#: One of each kind of state: a bias, a count, a learned scale, a boundary.
SEVERAL: dict[str, Callable[..., Classifier]] = {
    "softmax": Softmax,
    "A-Softmax": ASoftmax,
    "L-Softmax": partial(LSoftmax, margin=3),
    "NormFace": partial(NormFace, learn_scale=True),
    "GB-CosFace": GBCosFace,
    "ArcFace": ArcFace,
}


class Training:
    """A network with all these heads, on as many processes as there are."""

    def __init__(self) -> None:
        torch.default_generator.manual_seed(3)
        self.network: nn.Module = nn.Linear(IN, DIM, dtype=torch.float64)
        self.split = {
            name: ShardedClassifier(make(CLASSES, DIM).double()) for name, make in SEVERAL.items()
        }
        if world_size() > 1:
            self.network = DistributedDataParallel(self.network)
        memory = CrossBatchMemory(16, DIM).double()
        self.pairs = GlobalBatchLoss(MarginLoss(nu=0.1), RandomMiner(2), memory).double()
        others = {"network": self.network, "heads": nn.ModuleDict(self.split), "pairs": self.pairs}
        self.parts = nn.ModuleDict(others)
        self.optimizers = [torch.optim.AdamW(p.parameters(), lr=0.01) for p in self.parts.values()]

    def run(self, first: int, last: int) -> None:
        """Some steps of an optimizer, with the norm of each head's gradient held down."""
        each = ROWS // world_size()
        own = slice(rank() * each, rank() * each + each)
        for step in range(first, last):
            x = self.network(draw_rows(ROWS, IN, step)[own])
            labels = torch.arange(ROWS)[own] * (step + 1) % CLASSES
            self.parts.zero_grad()
            values = [head(x, labels) for head in self.split.values()]
            values += [self.pairs(x, labels, torch.arange(ROWS)[own])]
            torch.autograd.backward(torch.stack(values).sum())
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            for head in self.split.values():
                nn.utils.clip_grad_norm_(head.head.by_class().values(), 1.0)
            for optimizer in self.optimizers:
                optimizer.step()


def save_all(training: Training, folder: Path) -> None:
    model, optimizers = get_state_dict(training.parts, training.optimizers)
    save({"model": model, "optimizers": optimizers}, checkpoint_id=folder)


def load_all(training: Training, folder: Path) -> None:
    model, optimizers = get_state_dict(training.parts, training.optimizers)
    state: dict[str, Any] = {"model": model, "optimizers": optimizers}
    load(state, checkpoint_id=folder)
    set_state_dict(
        training.parts,
        training.optimizers,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizers"],
    )


def plain_state(head: nn.Module) -> dict[str, Any]:
    """The state of the head as it is on one process; on rank 0, elsewhere empty."""
    return get_model_state_dict(
        head, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )


def weights(training: Training) -> dict[str, list[float]]:
    """All numbers of all parts, on rank 0."""
    found = {}
    others = [("network", training.network), ("pairs", training.pairs)]
    for name, each in [*training.split.items(), *others]:
        state = plain_state(each.head if isinstance(each, ShardedClassifier) else each)
        values = [v for v in state.values() if isinstance(v, Tensor)]
        counts = [float(n) for v in state.values() if isinstance(v, dict) for n in v.values()]
        found[name] = [*torch.cat([v.flatten() for v in values]).tolist(), *counts] if state else []
    return found
