"""What one of several processes does and measures: steps of a training, and what they cost."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.peers import pml
from benchmarks.speed.timing import peak_extra_mib
from metricface import classifiers
from metricface.losses import ContrastiveLoss, TripletLoss
from metricface.miners import SemiHardMiner
from metricface.recipes import GlobalBatchLoss

PIXELS = 64
"""Numbers of an image: a network of one small layer, so that the loss is what costs."""
IMAGES_PER_IDENTITY = 4
TIMEOUT = timedelta(minutes=3)
_BYTES_RECEIVED = 128  # where tcpi_bytes_received stands in linux/tcp.h's tcp_info


class Setting(NamedTuple):
    """What is asked of every contender."""

    batch: int
    dim: int
    classes: int
    steps: int


class Slope(NamedTuple):
    """The network's gradient beside that of one process with the whole batch."""

    error: float
    """Length of the difference, relative to what it should be."""
    cosine: float
    """Of the angle between them: 1 where only the length is wrong."""


class Cost(NamedTuple):
    """What a rank's steps took; nothing but a note where the contender is not to be had."""

    seconds: list[float]
    cpu_s: list[float]
    sent_bytes: float | None
    added_mib: float
    slope: Slope | None
    note: str = ""


class Step(nn.Module):
    """From images to the loss."""

    def __init__(self, network: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, x: Tensor, labels: Tensor, ids: Tensor) -> Tensor:
        """The loss of this rank's images, or of those of all."""
        value: Tensor = self.loss(self.network(x), labels, ids)
        return value


class Mined(nn.Module):
    """A miner and a loss, of whichever library, which need no ids: no image comes twice."""

    def __init__(self, miner: Any, loss: nn.Module) -> None:
        super().__init__()
        self.miner, self.loss = miner, loss

    def forward(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> Tensor:
        """The loss of what is mined, or of everything."""
        picked = None if self.miner is None else self.miner(embeddings, labels)
        value: Tensor = self.loss(embeddings, labels, picked)
        return value


class Head(nn.Module):
    """A classifier, which needs no ids."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> Tensor:
        """The loss of the rows."""
        value: Tensor = self.head(embeddings, labels)
        return value


Make = Callable[[Setting], nn.Module]


@dataclass(frozen=True)
class Contender:
    """One way to compute a loss over ranks, and the loss that one process would compute."""

    together: Make
    alone: Make
    in_ddp: bool = False
    """Its weights are averaged by DDP, as those of the network are."""


def _theirs(parts: Callable[[], tuple[Any, Any]], *, efficient: bool) -> Contender:
    return Contender(
        lambda _: Mined(*pml.across_ranks(*parts(), efficient=efficient)),
        lambda _: Mined(*parts()),
    )


def _ours(parts: Callable[[], tuple[Any, nn.Module]]) -> Contender:
    def together(_: Setting) -> nn.Module:
        miner, loss = parts()
        return GlobalBatchLoss(loss, miner)

    return Contender(together, lambda _: Mined(*parts()))


def _head(setting: Setting) -> nn.Module:
    return Head(classifiers.ArcFace(setting.classes, setting.dim))


def _sharded(setting: Setting) -> nn.Module:
    sharded = getattr(classifiers, "ShardedClassifier", None)
    if sharded is None:
        raise NotImplementedError("metricface.classifiers has no ShardedClassifier")
    return Head(sharded(classifiers.ArcFace(setting.classes, setting.dim)))


CONTENDERS = {
    "triplets, metricface": _ours(lambda: (SemiHardMiner(), TripletLoss())),
    "triplets, pml": _theirs(pml.semi_hard, efficient=False),
    "triplets, pml efficient": _theirs(pml.semi_hard, efficient=True),
    "contrastive, metricface": _ours(lambda: (None, ContrastiveLoss())),
    "contrastive, pml": _theirs(pml.contrastive, efficient=False),
    "contrastive, pml efficient": _theirs(pml.contrastive, efficient=True),
    "ArcFace, in DDP": Contender(_head, _head, in_ddp=True),
    "ArcFace, sharded": Contender(_sharded, _head),
}


class Batch(NamedTuple):
    """Images, their identities, and which images they are."""

    x: Tensor
    labels: Tensor
    ids: Tensor


def batch_of(setting: Setting, rank: int, ranks: int, dtype: torch.dtype) -> Batch:
    """A rank's part of the batch: identities that overlap, four images each."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(setting.batch) // IMAGES_PER_IDENTITY
    x = torch.randn(len(labels), PIXELS, generator=generator, dtype=torch.float64)
    x += torch.randn(len(labels), PIXELS, generator=generator, dtype=torch.float64)[labels]
    own = slice(setting.batch * rank // ranks, setting.batch * (rank + 1) // ranks)
    # Identities are spread over the classes, so that every part of a sharded head has some.
    classes = labels * max(1, setting.classes * IMAGES_PER_IDENTITY // setting.batch)
    return Batch(x.to(dtype)[own], classes[own] % setting.classes, torch.arange(len(x))[own])


def built(contender: Contender, setting: Setting, *, together: bool) -> tuple[nn.Module, nn.Linear]:
    """A step and its network, in DDP where ranks are together; the same weights wherever."""
    torch.manual_seed(0)
    network = nn.Linear(PIXELS, setting.dim, bias=False)
    if not together:
        return Step(network, contender.alone(setting)), network
    loss = contender.together(setting)
    if contender.in_ddp:
        return DistributedDataParallel(Step(network, loss)), network
    return Step(DistributedDataParallel(network), loss), network


def measured(rank: int, ranks: int, meet: str, names: list[str], setting: Setting) -> list[Cost]:
    """What some contenders cost this rank.

    Args:
        rank: this one.
        ranks: how many there are.
        meet: a file that does not exist, by which the ranks find one another.
        names: of the contenders.
        setting: what is asked of each.
    """
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meet}", rank=rank, world_size=ranks, timeout=TIMEOUT
    )
    try:
        costs = [_cost(CONTENDERS[name], setting, rank, ranks) for name in names]
        dist.barrier()
        return costs
    finally:  # where this rank failed, the others wait for it no longer
        dist.destroy_process_group()


def _cost(contender: Contender, setting: Setting, rank: int, ranks: int) -> Cost:
    try:
        slope = _slope(contender, setting, rank, ranks)
    except NotImplementedError as missing:  # on all ranks alike
        return Cost([], [], None, float("nan"), None, f"  {missing}")
    batch = batch_of(setting, rank, ranks, torch.float32)
    made: list[Callable[[], None]] = []

    def first_steps() -> None:
        made.append(_stepper(contender, setting, batch))
        made[0]()
        made[0]()

    added = peak_extra_mib(first_steps)
    seconds, cpu_s = [], []
    dist.barrier()
    before = received_bytes()
    for _ in range(setting.steps):
        dist.barrier()
        start, cpu = time.perf_counter(), time.process_time()
        made[0]()
        seconds.append(time.perf_counter() - start)
        cpu_s.append(time.process_time() - cpu)
    after = received_bytes()
    dist.barrier()
    # What all ranks receive is what all of them send.
    sent = None if before is None or after is None else (after - before) / setting.steps
    return Cost(seconds, cpu_s, sent, added, slope)


def _stepper(contender: Contender, setting: Setting, batch: Batch) -> Callable[[], None]:
    """A step of a training, weights included."""
    step, _ = built(contender, setting, together=True)
    optimizer = torch.optim.SGD(step.parameters(), lr=1e-3)

    def run() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(step(*batch))
        optimizer.step()

    return run


def _slope(contender: Contender, setting: Setting, rank: int, ranks: int) -> Slope | None:
    """On rank 0; in float64, where rounding decides nothing that is mined."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        part = batch_of(setting, rank, ranks, torch.float64)
        own = _gradient(contender, setting, part, together=True)
        if rank:
            return None
        every = batch_of(setting, 0, 1, torch.float64)
        right = _gradient(contender, setting, every, together=False)
        cosine = (own * right).sum() / (own.norm() * right.norm())
        return Slope(float((own - right).norm() / right.norm()), float(cosine))
    finally:
        torch.set_default_dtype(usual)


def _gradient(contender: Contender, setting: Setting, batch: Batch, *, together: bool) -> Tensor:
    step, network = built(contender, setting, together=together)
    torch.autograd.backward(step(*batch))
    if network.weight.grad is None:
        raise RuntimeError("the network got no gradient")
    return network.weight.grad


def received_bytes() -> int | None:
    """Bytes that this process ever received over TCP, on which gloo runs; None but on Linux."""
    total = 0
    try:
        for entry in os.scandir("/proc/self/fd"):
            try:
                if not os.readlink(entry.path).startswith("socket:"):
                    continue
                with socket.socket(fileno=os.dup(int(entry.name))) as each:
                    if each.type == socket.SOCK_STREAM and each.family != socket.AF_UNIX:
                        told = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                        total += struct.unpack_from("Q", told, _BYTES_RECEIVED)[0]
            except OSError:  # closed in the meantime
                continue
    except (OSError, AttributeError):
        return None
    return total
