"""The loss of the batch of all processes, of which each computes its share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call

from metricface.distributed import Gathered, rank, world_size
from metricface.distributed.facts import told
from metricface.distributed.gather import gather_share
from metricface.losses import EmbeddingLoss
from metricface.losses.reduction import Sum
from metricface.memory import CrossBatchMemory
from metricface.miners import Miner
from metricface.recipes.objective import Objective
from metricface.types import Labels, numbered

_KINDS = 2  # of terms that a loss has at most: positives and negatives


class GlobalBatchLoss(nn.Module):
    """The loss of the batch of all processes, with its exact gradient under DDP.

    Each process brings its rows, mines **its own anchors** against the rows of all, and computes
    their terms only: of N² distances, W processes look at N²/W each. The reduction's counts are
    added up over all of them, so that the value, which is equal on all ranks, is that of one
    process with the whole batch. Backward gives W times the gradient of the own rows, which
    DistributedDataParallel, averaging, turns into the gradient of the whole loss. Parameters of
    the loss itself (a learned β) get that gradient on every rank, wrapped in DDP or not.

    What cannot be split by anchor is computed on the gathered batch by every rank, with the same
    value and gradient: losses and miners of other libraries, classifiers,
    :class:`~metricface.losses.CenterLoss`, :class:`~metricface.losses.DeepID2Loss`,
    :class:`~metricface.losses.VerificationSignal`. What a miner of another library picks is what
    it picks on rank 0; a loss of another library that draws is averaged over the ranks' draws.

    Every rank has to call it, and to go backward. Without a process group it is the loss itself.

    Args:
        loss: of this library or of pytorch-metric-learning, with any reduction to one number.
        miner: picks what the loss looks at; None leaves that to the loss.
        memory: past embeddings of all ranks that the batch is compared with besides; every rank
            keeps the same, so that one state is that of all.

    Raises:
        TypeError: a loss that is no module, or takes no labels.
        ValueError: ``reduction="none"``; a miner or a memory that the loss cannot use.

    Example:
        >>> from metricface.losses import TripletLoss
        >>> from metricface.miners import SemiHardMiner
        >>> loss = GlobalBatchLoss(TripletLoss(), SemiHardMiner())
        >>> x, labels = torch.eye(4)[:, :3], torch.tensor([0, 0, 1, 1])
        >>> loss(x, labels) == TripletLoss()(x, labels, SemiHardMiner()(x, labels))
        tensor(True)
    """

    def __init__(
        self,
        loss: nn.Module,
        miner: Callable[..., Sequence[Tensor]] | None = None,
        memory: CrossBatchMemory | None = None,
    ) -> None:
        super().__init__()
        self.objective = Objective([loss], miner=miner, memory=memory)
        if getattr(loss, "reduction", None) == "none":
            raise ValueError('reduction="none" gives no one number to train on')

    def forward(self, embeddings: Tensor, labels: Labels, ids: Labels | None = None) -> Tensor:
        """The loss of the batch of all ranks; a memory takes it in afterwards.

        Args:
            embeddings: this rank's ``[n, D]``; n may differ between ranks, and be 0.
            labels: ``[n]`` integers or strings.
            ids: which sample of the data set each row is ``[n]``, on all ranks or on none. A
                sample is not compared with itself, on whichever ranks it is met.

        Returns:
            A scalar, equal on all ranks.

        Raises:
            TypeError: strings where there is a memory; without a process group, arguments of the
                wrong type.
            ValueError: on every rank, if any rank's arguments are wrong, or those of ranks do
                not fit together; see :func:`~metricface.distributed.gather_batch`.
            RuntimeError: a rank has died.
        """
        split = world_size() > 1 and _splits(self.objective)
        named = {n: p for n, p in self.objective.named_parameters() if split and p.requires_grad}
        share = gather_share(embeddings, labels, ids, list(named.values()))
        memory = self.objective.memory
        if memory is not None and not all(isinstance(k, Tensor | None) for k in share.batch[1:]):
            raise TypeError("a memory stores integer labels and ids, got strings")
        batch = _Batch.of(share.batch, 0 if memory is None else memory.pushed)
        if world_size() == 1:
            value = _whole(self.objective, batch)
        else:
            shared = {f"objective.{n}": p for n, p in zip(named, share.parameters, strict=True)}
            sums = _Sums(self.objective, split=split)
            places = _KINDS if memory is None else 2 * _KINDS
            value = _of_all(
                lambda: functional_call(sums, shared, (batch, share.counts)), batch, places
            )
        if memory is not None:
            known = None if share.batch.ids is None else batch.ids
            memory.push(batch.embeddings.detach(), batch.labels, known)
        return value


class _Batch(NamedTuple):
    """The batch of all ranks, identities and samples in numbers."""

    embeddings: Tensor
    labels: Tensor
    ids: Tensor

    @classmethod
    def of(cls, batch: Gathered, seen: int) -> _Batch:
        """Strings are numbered; samples without ids get some that no other sample has."""
        x, labels, ids = batch
        if ids is None:  # the same as a memory that has seen so many invents for them
            ids = -1 - torch.arange(seen, seen + len(x), device=x.device)
        return cls(x, *(_as_numbers(each).to(x.device) for each in (labels, ids)))


class _Sums(nn.Module):
    """What this rank computes, as a module whose parameters can be replaced in a call."""

    def __init__(self, objective: Objective, *, split: bool) -> None:
        super().__init__()
        self.objective, self.split = objective, split

    def forward(self, batch: _Batch, counts: Sequence[int]) -> list[Sum]:
        if self.split:
            first = sum(counts[: rank()])
            return _of_anchors(self.objective, batch, first, counts[rank()])
        value = _whole(self.objective, batch)
        return [Sum(value, torch.ones_like(value))]  # over all ranks their mean


def _of_anchors(objective: Objective, batch: _Batch, first: int, count: int) -> list[Sum]:
    """The sums of some anchors of the batch, against all of it and against the memory."""
    loss, miner = objective.losses[0], objective.miner
    if not isinstance(loss, EmbeddingLoss):
        raise TypeError(f"{type(loss).__name__} cannot be split by anchor")
    x, labels, ids = (each[first : first + count] for each in batch)
    past = [] if objective.memory is None else [_Batch(*objective.memory.reference())]
    found: list[Sum] = []
    with _first_anchor(objective, first):
        for ref_emb, ref_labels, ref_ids in [batch, *(each for each in past if len(each.ids))]:
            known = {"ids": ids, "ref_ids": ref_ids}
            picked = None
            if miner is not None:
                picked = miner(x.detach(), labels, ref_emb.detach(), ref_labels, **known)
            found += loss.sums(x, labels, picked, ref_emb, ref_labels, **known)
    return found


def _whole(objective: Objective, batch: _Batch) -> Tensor:
    """The loss of the whole batch."""
    mined = objective.mine(*batch)
    if world_size() > 1 and not isinstance(objective.miner, Miner | None):
        mined = [each._replace(indices=_of_rank_0(each.indices)) for each in mined]
    return objective.loss(*batch, mined)


def _of_rank_0(indices: Sequence[Tensor] | None) -> Sequence[Tensor] | None:
    """What was picked on rank 0: a miner of another library may draw from torch's generator."""
    if indices is None:
        return None
    carried = [[each.cpu() for each in indices]]
    dist.broadcast_object_list(carried)
    return tuple(each.to(own.device) for each, own in zip(carried[0], indices, strict=True))


def _of_all(compute: Callable[[], list[Sum]], batch: _Batch, places: int) -> Tensor:
    """The value from the sums of all ranks, with W times the gradient of this one's.

    Args:
        compute: gives this rank's sums.
        batch: what they depend on.
        places: how many sums there may be.

    Raises:
        ValueError: on every rank, where any rank's computation raises.
    """
    numbers = torch.zeros(1 + 2 * places, dtype=torch.float64, device=batch.embeddings.device)
    try:
        sums = compute()
    except Exception as error:  # the others have to hear of it, or they wait
        numbers[0] = 1
        told(numbers, f"{type(error).__name__}: {error}")
        raise
    flat = [each.detach().double() for pair in sums for each in pair]
    numbers[1 : 1 + len(flat)] = torch.stack(flat)
    every = told(numbers)[:, 1:].sum(0).to(numbers.device)
    total, terms = every[::2], every[1::2].clamp_min(1)
    # The empty sum makes every rank go backward, also one that has nothing to compare.
    own = batch.embeddings[:0].sum() + sum(
        each.total * (world_size() / terms[place]) for place, each in enumerate(sums)
    )
    value = (total / terms).sum() + (own - own.detach())
    return value.to(sums[0].total.dtype)


def _splits(objective: Objective) -> bool:
    """Whether loss and miners take a part of the anchors against all references."""
    (loss,) = objective.losses
    return (
        isinstance(loss, EmbeddingLoss)
        and loss.by_anchor
        and isinstance(loss.miner, Miner | None)
        and isinstance(objective.miner, Miner | None)
    )


def _as_numbers(keys: Tensor | npt.NDArray[Any]) -> Tensor:
    return keys if isinstance(keys, Tensor) else torch.from_numpy(numbered(keys).numbers)


@contextmanager
def _first_anchor(objective: Objective, number: int) -> Iterator[None]:
    """Miners draw for their anchors what one process would draw for the same rows."""
    miners = [part for part in objective.modules() if isinstance(part, Miner)]
    try:
        for miner in miners:
            miner.first_anchor = number
        yield
    finally:
        for miner in miners:
            miner.first_anchor = 0
