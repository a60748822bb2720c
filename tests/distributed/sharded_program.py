"""``ShardedClassifier`` on some processes beside its head on one, case by case."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.nn.parallel import DistributedDataParallel

from metricface.classifiers import (
    ArcFace,
    Classifier,
    CosFace,
    NormFace,
    ShardedClassifier,
    Softmax,
)
from tests.cases import CLASSIFIERS
from tests.distributed.checkpoint_parts import Training, load_all, plain_state, save_all, weights
from tests.distributed.group import ended, joined
from tests.layouts import draw_rows

IN, DIM = 6, 4
REFUSED = ("COCO, batch centroids", "Proxy-Anchor")
HEADS = {name: make for name, make in CLASSIFIERS.items() if name not in REFUSED}


class Layout(NamedTuple):
    """A batch of all ranks, how many rows of it each has, and how many classes there are."""

    labels: list[int]
    counts: dict[int, list[int]]
    classes: dict[int, int]


LAYOUTS = {
    "even": Layout([0, 1, 2, 3, 4, 5, 5, 0, 1, 2, 3, 3], {2: [6, 6], 3: [4] * 3}, {2: 6, 3: 6}),
    "uneven": Layout([6, 6, 0, 1, 5, 4, 2], {2: [5, 2], 3: [3, 1, 3]}, {2: 7, 3: 7}),
    "a rank is empty": Layout([2, 6, 0, 1, 5], {2: [0, 5], 3: [3, 0, 2]}, {2: 7, 3: 8}),
    "nobody there": Layout([], {2: [0, 0], 3: [0] * 3}, {2: 7, 3: 7}),
    "all of one rank": Layout([0, 1, 1, 0, 0], {2: [3, 2], 3: [2, 2, 1]}, {2: 5, 3: 7}),
    "a rank without classes": Layout([0, 0, 0], {2: [2, 1], 3: [1, 1, 1]}, {2: 1, 3: 4}),
}


def part(counts: list[int], rank: int) -> slice:
    return slice(sum(counts[:rank]), sum(counts[: rank + 1]))


def seeded(make: Callable[[], Any]) -> Any:
    torch.default_generator.manual_seed(5)
    return make()


def error(ours: Tensor, right: Tensor) -> float:
    scale = float(right.norm()) if right.numel() else 0.0
    return float((ours - right).norm()) / max(scale, 1e-3)


class Trial:
    """A network on all ranks and the same network alone, with what both are given."""

    def __init__(self) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.alone = nn.Linear(IN, DIM, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.alone.weight.copy_(draw_rows(DIM, IN, 1))
        self.together = DistributedDataParallel(copy.deepcopy(self.alone))
        self.values: list[str] = []

    def run(self, layout: Layout, make: Callable[..., Classifier], reduction: str) -> list[float]:
        """Largest relative errors of value, gradients and state in two steps."""
        head = partial(make, layout.classes[self.world], DIM, reduction=reduction)
        ours, one = ShardedClassifier(seeded(head).double()), seeded(head).double()
        errors = [0.0, 0.0, 0.0]
        for step in range(2):
            x = draw_rows(len(layout.labels), IN, 20 + step)
            labels = torch.tensor(layout.labels, dtype=torch.int64)
            own = part(layout.counts[self.world], self.rank)
            for each in (self.alone, self.together, ours, one):
                each.zero_grad()
            value = ours(self.together(x[own]), labels[own])
            value.backward()
            right = one(self.alone(x), labels)
            right.backward()
            self.values.append(repr(value.item()))
            found = (
                error(value.detach(), right.detach()),
                max(error(*both) for both in self._gradients(ours, one)),
                max((error(*both) for both in states(ours.head, one)), default=0.0),
            )
            errors = [max(pair) for pair in zip(errors, found, strict=True)]
        return errors

    def _gradients(self, ours: ShardedClassifier, one: Classifier) -> Iterator[tuple[Any, Any]]:
        yield self.together.module.weight.grad, self.alone.weight.grad
        for name, parameter in one.named_parameters():
            known, right = ours.head.get_parameter(name).grad, parameter.grad
            assert right is not None
            if name in one.by_class():
                yield rows(known), right[ours.classes.start : ours.classes.stop]
            else:
                yield known, right


def rows(spread: Any) -> Tensor:
    """What this process has of a parameter, or of its gradient."""
    local: Tensor = spread.to_local()
    return local


def states(ours: Classifier, one: Classifier) -> Iterator[tuple[Tensor, Tensor]]:
    """Buffers, and counts that are no tensors."""
    for name, right in one.named_buffers():
        yield ours.get_buffer(name), right
    count = getattr(one, "iteration", None)
    if count is not None:
        yield torch.tensor(float(getattr(ours, "iteration", -1))), torch.tensor(float(count))


def heard(rank: int, world: int) -> dict[str, str]:
    """What every rank hears when the last one brings something else than the others."""
    odd = rank == world - 1
    classifier = ShardedClassifier(seeded(lambda: CosFace(5, DIM)))
    x, labels = torch.ones(2, DIM), torch.tensor([0, 1])
    cases: dict[str, Callable[[], Any]] = {
        "class": lambda: classifier(x, labels + 4 * odd),
        "NaN": lambda: classifier(x / (0.0 if odd else 1.0) * 0, labels),
        "names": lambda: classifier(x, ["a", "b"] if odd else labels),
        "dimension": lambda: classifier(x[:, : 3 if odd else 4], labels),
        "dtype": lambda: classifier(x.double() if odd else x, labels),
        "head": lambda: ShardedClassifier(CosFace(6 if odd else 5, DIM)),
        "rate": lambda: ShardedClassifier(CosFace(5, DIM), sample_rate=0.5 if odd else 1.0),
        "twice": lambda: ShardedClassifier(classifier.head),
    }
    said = {}
    for name, make in cases.items():
        try:
            make()
        except ValueError as wrong:
            said[name] = str(wrong)
    return said


def sampled(rank: int, world: int) -> dict[str, Any]:
    """PartialFC is the head of the classes that were taken, whatever was drawn."""
    classes, rate = 23, 0.4
    make = partial(ArcFace, classes, DIM, scale=8.0)
    ours = ShardedClassifier(seeded(make).double(), sample_rate=rate, seed=3)
    other = ShardedClassifier(seeded(make).double(), sample_rate=rate, seed=3)
    labels = torch.tensor([0, 1, 1, 2, 0, 3, 9, 4, 5, 6, 7, 8])  # all of rank 0's are more than r
    counts = [len(labels) // world] * world
    found: dict[str, Any] = {"taken": [], "errors": [], "again": []}
    for step in range(3):
        x = draw_rows(len(labels), DIM, step).requires_grad_()
        own = x.detach()[part(counts, rank)].requires_grad_()
        ours.zero_grad()
        value = ours(own, labels[part(counts, rank)])
        value.backward()
        gradient = rows(ours.head.weight.grad)
        taken: list[list[int]] = [[]] * world
        dist.all_gather_object(
            taken, (gradient.any(1).nonzero().flatten() + ours.classes.start).tolist()
        )
        every = torch.tensor([number for share in taken for number in share])
        right = seeded(partial(ArcFace, len(every), DIM, scale=8.0)).double()
        with torch.no_grad():
            right.weight.copy_(seeded(make).double().weight[every])
        expected = right(x, torch.searchsorted(every, labels))
        expected.backward()
        here = (every >= ours.classes.start) & (every < ours.classes.stop)
        assert x.grad is not None
        assert own.grad is not None
        found["taken"].append(taken)
        found["errors"] += [
            error(value.detach(), expected.detach()),
            error(own.grad, world * x.grad[part(counts, rank)]),
            error(gradient[gradient.any(1)], right.weight.grad[here]),
        ]
        other.load_state_dict(ours.state_dict())
        found["again"].append([ours.step, repr(value.item())])
    values = []
    for each in (ours, other):  # the second goes on where the first is
        values.append(repr(each(own.detach(), labels[part(counts, rank)]).item()))
    ours.eval()
    found["resumed"] = values[0] == values[1]
    found["all"] = repr(ours(own.detach(), labels[part(counts, rank)]).item())
    found["without sampling"] = repr(
        seeded(make).double()(draw_rows(len(labels), DIM, 2), labels).item()
    )
    return found


def begun(make: Callable[[], Classifier]) -> bool:
    """The classes of a rank begin as they would on one process, from the meta device too."""

    def from_meta() -> ShardedClassifier:
        with torch.device("meta"):
            head = make()
        return ShardedClassifier(head)

    whole, usual = seeded(make), seeded(lambda: ShardedClassifier(make()))
    if whole.weight.ndim > 2:  # sub-centres are refused there
        return begins_as(usual, whole)
    return all(begins_as(each, whole) for each in (usual, seeded(from_meta)))


def begins_as(ours: ShardedClassifier, whole: Classifier) -> bool:
    own = slice(ours.classes.start, ours.classes.stop)
    same = []
    for name, right in whole.state_dict().items():
        value = ours.head.state_dict()[name]
        if name in whole.by_class():
            same += [torch.equal(rows(value), right[own])]
            # what is held is not a view of all of it
            same += [rows(value).untyped_storage().nbytes() == right[own].nbytes]
        elif isinstance(right, Tensor):
            same += [torch.equal(value.nan_to_num(9), right.nan_to_num(9))]
    return all(same)


def taken_in(rank: int) -> list[bool]:
    """The state of a plain head that only the first rank has, and back to a plain head."""
    found = []
    for make in (partial(Softmax, 7, DIM), partial(NormFace, 7, DIM, learn_scale=True)):
        plain, back = seeded(make), make()
        ours = ShardedClassifier(make())
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(ours.head, plain.state_dict() if rank == 0 else {}, options=options)
        found.append(begins_as(ours, plain))
        state = plain_state(ours.head)
        found.append(bool(state) == (rank == 0))
        if rank == 0:
            back.load_state_dict(state)
            found.append(str(back.state_dict()) == str(plain.state_dict()))
    return found


def other_optimizers(rank: int, world: int) -> dict[str, float]:
    """How far from one process three steps lead, by optimizers that do not take DTensors."""
    labels = torch.arange(6)
    counts = [6 // world] * world
    found = {}
    for kind in (torch.optim.Rprop, torch.optim.SGD):
        plain = seeded(lambda: NormFace(7, DIM).double())
        ours = ShardedClassifier(seeded(lambda: NormFace(7, DIM).double()))
        one, mine = kind(plain.parameters(), lr=0.1), kind(ours.local_parameters(), lr=0.1)
        again = zip(ours.local_parameters(), mine.param_groups[0]["params"], strict=True)
        assert all(one_more is known for one_more, known in again)  # else it would get no gradient
        for step in range(3):
            x = draw_rows(6, DIM, step)
            for optimizer in (one, mine):
                optimizer.zero_grad()
            again = zip(ours.local_parameters(), mine.param_groups[0]["params"], strict=True)
            assert all(one_more is known for one_more, known in again)
            plain(x, labels).backward()
            ours(x[part(counts, rank)], labels[part(counts, rank)]).backward()
            one.step()
            mine.step()
        own = slice(ours.classes.start, ours.classes.stop)
        difference = rows(ours.head.weight.detach()) - plain.weight.detach()[own]
        found[kind.__name__] = float(difference.abs().max()) if difference.numel() else 0.0
    return found


def main(path: Path) -> None:
    rank, world = joined()
    trial = Trial()
    said: dict[str, Any] = {
        "errors": {
            f"{layout} | {name} | {reduction}": trial.run(LAYOUTS[layout], make, reduction)
            for layout in LAYOUTS
            for name, make in HEADS.items()
            for reduction in ("mean", "sum")
            if reduction == "mean" or layout == "uneven"
        },
        "values": trial.values,
        "heard": heard(rank, world),
        "sampled": sampled(rank, world),
        "other optimizers": other_optimizers(rank, world),
        "begun": {
            f"{name}, {classes}": begun(partial(make, classes, 5))
            for name, make in HEADS.items()
            for classes in (7, 4500)
        },
    }
    said["taken in"] = taken_in(rank)
    folder = path.parent.parent / "checkpoint"
    training = Training()
    if world == 2:  # the others go on from here
        training.run(0, 3)
        save_all(training, folder)
    else:
        load_all(training, folder)
        training.run(3, 6)
    said["weights"] = weights(training)
    path.write_text(json.dumps(said))
    dist.barrier()  # the first to end takes the meeting place with it
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
