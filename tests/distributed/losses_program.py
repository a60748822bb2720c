"""``GlobalBatchLoss`` under DDP beside one process with the whole batch, case by case."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_metric_learning.losses as pml_losses
import pytorch_metric_learning.miners as pml_miners
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from metricface.classifiers import AdaFace, ArcFace, ProxyAnchor, SubCenterArcFace
from metricface.losses import CenterLoss, ContrastiveLoss, MarginLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import DistanceWeightedMiner, RandomMiner, SemiHardMiner
from metricface.recipes import GlobalBatchLoss, Objective
from tests.cases import LOSSES, MINERS, OTHER_LOSSES
from tests.distributed.group import ended, joined
from tests.distributed.memory_steps import HALF, MEMORIES, ROWS, contents, remembering, taken
from tests.layouts import draw_rows

IN, DIM = 6, 4


class Layout(NamedTuple):
    """The whole batch, and how many rows of it two or three ranks have."""

    labels: list[int]
    counts: dict[int, list[int]]
    ids: list[int] | None = None


_RAGGED = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 0, 1, 3]
LAYOUTS = {
    "even, P×K": Layout([0] * 4 + [1] * 4 + [2] * 4, {2: [6, 6], 3: [4, 4, 4]}, [*range(12)]),
    "ragged, no ids": Layout(_RAGGED, {2: [9, 4], 3: [6, 2, 5]}),
    "a rank is empty": Layout([0, 0, 1, 1, 0, 2, 2, 1, 1], {2: [0, 9], 3: [5, 0, 4]}, [*range(9)]),
    "one identity": Layout([1] * 7, {2: [4, 3], 3: [2, 2, 3]}, [*range(7)]),
    "one image on two ranks": Layout(
        [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 3, 3],
        {2: [6, 6], 3: [3, 5, 4]},
        [7, 8, 4, 5, 2, 3, 7, 9, 4, 5, 0, 1],
    ),
}
#: Every reduction, and what the table of losses leaves out.
MORE_LOSSES: dict[str, Callable[[], nn.Module]] = {
    **{
        f"{name}, {reduction}": partial(make, reduction=reduction)
        for name, make in LOSSES.items()
        for reduction in ("mean", "nonzero", "sum")
    },
    "margin, learned": lambda: MarginLoss(nu=0.1),
    "margin, learned by class": lambda: MarginLoss(beta=0.8, num_classes=4, nu=0.05),
    "mines inside": lambda: TripletLoss(miner=SemiHardMiner(negative="random", bounded=False)),
    "draws inside": lambda: MarginLoss(miner=DistanceWeightedMiner()),
    **OTHER_LOSSES,
    "ArcFace": lambda: ArcFace(4, DIM),
    "sub-center ArcFace": lambda: SubCenterArcFace(4, DIM),
    "AdaFace": lambda: AdaFace(4, DIM, alpha=0.5),
    "Proxy-Anchor": lambda: ProxyAnchor(4, DIM),
    "theirs": pml_losses.ContrastiveLoss,
    "theirs, whole batch": pml_losses.MultiSimilarityLoss,
}
Make = Callable[[], Any]
#: Combinations with parts of another library; the last draws from torch's own generator.
FOREIGN: dict[str, tuple[Make, Make]] = {
    "theirs": (pml_losses.TripletMarginLoss, pml_miners.TripletMarginMiner),
    "their miner": (TripletLoss, pml_miners.BatchHardMiner),
    "their loss": (pml_losses.MarginLoss, SemiHardMiner),
    "theirs, drawn": (pml_losses.TripletMarginLoss, pml_miners.DistanceWeightedMiner),
}


class Trial:
    """A network on all ranks and the same network alone, with what both are given."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.rank, self.world, self.dtype = dist.get_rank(), dist.get_world_size(), dtype
        self.alone = nn.Linear(IN, DIM, bias=False, dtype=dtype)
        with torch.no_grad():
            self.alone.weight.copy_(draw_rows(DIM, IN, 1))
        own = nn.Linear(IN, DIM, bias=False, dtype=dtype)
        own.load_state_dict(self.alone.state_dict())
        self.together = DistributedDataParallel(own)
        self.values: list[str] = []

    def run(
        self,
        name: str,
        make: Callable[[], nn.Module],
        make_miner: Callable[[], Any] | None = None,
        *,
        memory: int | None = None,
        steps: int = 1,
    ) -> list[float]:
        """Largest relative errors of the value and of all gradients together."""
        past = [None if memory is None else CrossBatchMemory(memory, DIM) for _ in range(2)]
        miners = [None if make_miner is None else make_miner() for _ in range(2)]
        states = [_seeded(make).to(self.dtype) for _ in range(2)]
        ours = GlobalBatchLoss(states[0], miners[0], past[0])
        alone = Objective([states[1]], miner=miners[1], memory=past[1])
        errors = [0.0, 0.0]
        for step in range(steps):
            _seed(self.rank)  # no part of ours depends on it, and of theirs rank 0 decides
            value, slopes = self._together(ours, LAYOUTS[name], step)
            _seed(self.rank)
            if self.rank == 0:
                expected, right = self._alone(alone, LAYOUTS[name], step)
                both = (([value], [expected]), (slopes, right))
                errors = [max(e, _error(*pair)) for e, pair in zip(errors, both, strict=True)]
            # Equal on all ranks: the value, the gradients, and what the parts remember.
            state = [each.double().sum() for each in ours.state_dict().values() if _numbers(each)]
            self.values.append(str([float(x) for x in (value, *(s.sum() for s in slopes), *state)]))
        return errors

    def _together(self, loss: GlobalBatchLoss, layout: Layout, step: int) -> Any:
        counts = layout.counts[self.world]
        own = slice(sum(counts[: self.rank]), sum(counts[: self.rank + 1]))
        x, labels, ids = self._batch(layout, step)
        self.together.zero_grad()
        loss.zero_grad()
        value = loss(self.together(x[own]), labels[own], None if layout.ids is None else ids[own])
        value.backward()
        return value.detach(), _slopes(self.together, loss)

    def _alone(self, objective: Objective, layout: Layout, step: int) -> Any:
        self.alone.zero_grad()
        objective.zero_grad()
        x, labels, ids = self._batch(layout, step)
        value = objective(self.alone(x), labels, ids)
        torch.autograd.backward(value)
        return value.detach(), _slopes(self.alone, objective)

    def _batch(self, layout: Layout, step: int) -> tuple[Tensor, Tensor, Tensor]:
        count = len(layout.labels)
        ids = [step * count + i for i in range(count)] if layout.ids is None else layout.ids
        x = draw_rows(count, IN, 20 + step).to(self.dtype)
        return x, torch.tensor(layout.labels), torch.tensor(ids)


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    _seed(5)
    return make()


def _error(ours: list[Tensor], right: list[Tensor]) -> float:
    """The length of the difference, relative to that of what is right."""
    a, b = (torch.cat([each.flatten().double() for each in side]) for side in (ours, right))
    return float((a - b).norm() / b.norm().clamp_min(1e-3))


def _seed(seed: int) -> None:
    """As ``torch.manual_seed``, which is slow: it tells every kind of accelerator."""
    torch.default_generator.manual_seed(seed)


def _numbers(value: object) -> bool:
    return isinstance(value, Tensor)


def _slopes(*modules: nn.Module) -> list[Tensor]:
    every = [p for module in modules for p in module.parameters()]
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in every]


def table(trial: Trial, names: list[str], *, every: bool = True) -> dict[str, list[float]]:
    """Every loss with every miner, or each with some of the others so that all come in turn."""
    miners: dict[str, Callable[..., Any] | None] = {"everything": None, **MINERS}
    return {
        f"{layout} | {loss} | {miner}": trial.run(layout, make, make_miner)
        for layout in names
        for i, (loss, make) in enumerate(LOSSES.items())
        for j, (miner, make_miner) in enumerate(miners.items())
        if every or (i + j) % 5 == 0
    }


def others(trial: Trial, names: list[str]) -> dict[str, list[float]]:
    """Reductions, parameters of the loss, whole-batch losses, other libraries, memories."""
    found = {
        f"{layout} | {loss}": trial.run(layout, make)
        for layout in names
        for loss, make in MORE_LOSSES.items()
    }
    for name, (make, make_miner) in FOREIGN.items():
        found[name] = trial.run("ragged, no ids", make, make_miner)
    pickers: dict[str, Make | None] = {"all": None, "random": RandomMiner, "semi": SemiHardMiner}
    for layout in names:
        for name, picks in pickers.items():
            for loss in (ContrastiveLoss, TripletLoss):
                key = f"{layout} | memory | {loss.__name__} | {name}"
                found[key] = trial.run(layout, loss, picks, memory=20, steps=3)
    return found


def heard(rank: int, world: int) -> list[str]:
    """What every rank hears of what only the last can see."""
    x, labels = torch.ones(2, DIM), torch.tensor([0, 7 if rank == world - 1 else 1])
    try:
        GlobalBatchLoss(MarginLoss(num_classes=4))(x, labels)
    except ValueError as error:
        return [str(error)]
    return []


def strings(rank: int, world: int) -> list[float]:
    """Names are as good as numbers."""
    names = ["anna", "bo", "anna", "caro", "bo", "bo"]
    share = 6 // world
    x = draw_rows(6, DIM, 2)
    own = slice(rank * share, rank * share + share)
    ids = [f"{name} {place}" for place, name in enumerate(names)]
    value = GlobalBatchLoss(TripletLoss(2.0), RandomMiner())(x[own], names[own], ids[own])
    return [float(value), float(TripletLoss(2.0, miner=RandomMiner())(x, names))]


def centres(rank: int, world: int) -> dict[str, Any]:
    """Centres follow the whole batch on every rank, whoever holds which part of it."""
    loss, one, own = (CenterLoss(4, DIM, weight=1.0) for _ in range(3))
    for step in range(6):
        count = 4 + step
        x, labels = draw_rows(count, DIM, step).float(), torch.arange(count) * (step + 1) % 4
        cuts = [0, step, count] if world == 2 else [0, step, step, count]
        part = slice(cuts[rank], cuts[rank + 1])
        GlobalBatchLoss(loss)(x[part], labels[part])
        own(x[part], labels[part])
        one(x, labels)
    names = {"together": loss, "one": one, "own rows only": own}
    return {name: each.centers.tolist() for name, each in names.items()}


def remembered(path: Path) -> dict[str, Any]:
    """Memories after each step: from the start, and from the state of one process."""
    found: dict[str, Any] = {}
    for name in MEMORIES:
        loss, other = remembering(), remembering()
        found[name] = taken(loss, range(HALF), ids=name == "ids")
        if dist.get_rank() == 0:
            torch.save(loss.state_dict(), path.parent / f"together, {name}.pt")
        found[name] += taken(loss, range(HALF, len(ROWS)), ids=name == "ids")
        other.load_state_dict(torch.load(path.parent / f"one, {name}.pt"))
        found[f"{name}, restored"] = taken(other, range(HALF, len(ROWS)), ids=name == "ids")
    return found


def met_again(rank: int, world: int) -> dict[str, float]:
    """An image was on the first rank, and is on the last one step later, or another one is."""
    found = {}
    for name, second in {"same image": 7, "another": 8, "no ids": None}.items():
        loss = GlobalBatchLoss(ContrastiveLoss(), None, CrossBatchMemory(8, DIM))
        for step, (holder, image) in enumerate([(0, 7), (world - 1, second)]):
            count = int(rank == holder)
            ids = None if second is None else torch.tensor([image])[:count]
            value = loss(draw_rows(1, DIM, step).float()[:count], torch.tensor([0])[:count], ids)
        found[name] = float(value)
    return found


def unharmed(rank: int, world: int) -> bool:
    """A step that fails on one rank leaves the memory of every rank as it was."""
    loss = remembering()
    taken(loss, range(2), ids=True)
    before = contents(loss)
    x, labels = torch.ones(2, DIM, dtype=torch.float64), torch.tensor([0, 1])
    for ids in ([0, 1], [0, -1 if rank == world - 1 else 2]):
        bad = x / (0 if rank == world - 1 and ids == [0, 1] else 1)
        try:
            loss(bad, labels, torch.tensor(ids))
        except ValueError:
            continue
        return False
    return bool(contents(loss) == before)


def main(path: Path) -> None:
    rank, world = joined()
    _, ragged, empty, _, twice = LAYOUTS
    double, single = Trial(torch.float64), Trial(torch.float32)
    said: dict[str, Any] = {
        "double": {
            **table(double, [*LAYOUTS], every=False),
            **table(double, [ragged if world == 2 else twice]),
            **others(double, [ragged, twice] if world == 2 else [ragged, empty]),
        },
        "single": table(single, [ragged], every=world == 2) | others(single, [ragged]),
        "heard": heard(rank, world),
        "strings": strings(rank, world),
        "centres": centres(rank, world),
        "remembered": remembered(path),
        "met again": met_again(rank, world),
        "unharmed": unharmed(rank, world),
    }
    said["values"] = double.values + single.values
    path.write_text(json.dumps(said))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
