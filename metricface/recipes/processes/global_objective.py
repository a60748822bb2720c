"""An objective asked of the batch of all processes, of which each computes its share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call

from metricface.distributed import world_size
from metricface.distributed.facts import told
from metricface.distributed.gather import gather_share
from metricface.distributed.rows import gather_rows
from metricface.losses import EmbeddingLoss
from metricface.miners import Miner
from metricface.recipes.objective import Against, Objective
from metricface.recipes.processes.asked import Asked, GlobalBatch, ToCompare, first_anchor
from metricface.recipes.processes.shares import Shares, Term, value_of_all
from metricface.types import Labels


class GlobalObjective:
    """Mines and adds up losses as the :class:`Objective` does, of the batch of all ranks.

    A loss and a miner of this library take the rank's own anchors against the rows of all. What
    cannot be split by anchor is computed on the gathered batch by every rank, with the same value
    and gradient. Without a process group it is the objective itself.

    Args:
        objective: the same on all ranks.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.split = _split(objective)

    def gather(self, embeddings: Tensor, labels: Labels, ids: Labels | None = None) -> Asked:
        """The batch of all ranks; see :func:`~metricface.distributed.gather_batch`.

        Raises:
            TypeError: strings where there is a memory.
            ValueError: what a rank brings is wrong, or does not fit what the others bring.
        """
        named = {name: each for name, each in self._parameters() if each.requires_grad}
        share = gather_share(embeddings, labels, ids, list(named.values()))
        parameters = dict(zip(named, share.parameters, strict=True))
        rows = GlobalBatch.of(share.batch, self.objective.memory)
        return Asked(rows, share.counts, parameters, ids is not None)

    def mine(self, asked: Asked) -> ToCompare:
        """What is to be compared: indices of own anchors, or of the whole batch."""
        if world_size() == 1:
            return ToCompare([], self.objective.mine(*asked.rows))
        try:
            own = self._mined_for_own(asked) if self.split else []
            whole = [] if len(self.split) == len(self.objective.losses) else self._mined(asked)
        except Exception as error:  # the others have to hear of it, or they wait
            return ToCompare([], [], error)
        return ToCompare(own, whole)

    def loss(self, asked: Asked, mined: ToCompare) -> Tensor:
        """The value of the whole batch, with W times the gradient of this rank's share.

        Raises:
            ValueError: on every rank, where any rank's computation raises.
        """
        if world_size() == 1:
            return self.objective.loss(*asked.rows, mined.whole)
        shares = Shares(self.objective, self.split)
        shared = {f"objective.{name}": each for name, each in asked.parameters.items()}

        def compute() -> list[Term]:
            if mined.error is not None:
                raise mined.error
            found: list[Term] = functional_call(shares, shared, (asked, mined))
            return found

        return value_of_all(compute, asked.rows.embeddings, shares.places)

    def remember(self, asked: Asked) -> None:
        """Put the batch into the memory, for the steps to come."""
        if self.objective.memory is not None:
            x, labels, ids = asked.rows
            self.objective.memory.push(x.detach(), labels, ids if asked.known else None)

    def picked(self, asked: Asked, mined: ToCompare) -> Sequence[Tensor] | None:
        """What was mined in the batch of all ranks; None without a miner."""
        if not mined.own:
            return mined.whole[0].indices
        indices = mined.own[0].indices
        if indices is None:
            return None
        first, kind = asked.own.start, type(indices)
        names: Sequence[str] = kind._fields  # type: ignore[attr-defined]
        counted = [
            each + first if name.startswith("anchor") else each
            for name, each in zip(names, indices, strict=True)
        ]
        lengths = told(torch.tensor([0, *map(len, indices)], device=indices[0].device))[:, 1:]
        every = [
            gather_rows(each[:, None], counts.tolist()).squeeze(1).to(each.device)
            for each, counts in zip(counted, lengths.T, strict=True)
        ]
        return kind(*every)

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Those of the losses that are split: each rank knows a part of their gradient only."""
        for number in self.split if world_size() > 1 else ():
            loss = self.objective.losses[number]
            yield from loss.named_parameters(prefix=f"losses.{number}")

    def _mined_for_own(self, asked: Asked) -> list[Against]:
        """This rank's anchors, against the batch and against the memory."""
        x, labels, ids = (each[asked.own] for each in asked.rows)
        references = [Against(None, *asked.rows), *self.objective.past(asked.rows.ids)]
        miner = self.objective.miner
        if miner is None:
            return references
        found = []
        with first_anchor(self.objective, asked.own.start):
            for each in references:
                _, past, past_labels, past_ids = each
                past = None if past is None else past.detach()
                picked = miner(x.detach(), labels, past, past_labels, ids=ids, ref_ids=past_ids)
                found.append(each._replace(indices=picked))
        return found

    def _mined(self, asked: Asked) -> list[Against]:
        """What losses compare that cannot be split."""
        if self.split:  # those that look at what a miner picks are all split
            return [Against(None), *self.objective.past(asked.rows.ids)]
        found = self.objective.mine(*asked.rows)
        if isinstance(self.objective.miner, Miner | None):
            return found
        return [each._replace(indices=_of_rank_0(each.indices)) for each in found]


def _of_rank_0(indices: Sequence[Tensor] | None) -> Sequence[Tensor] | None:
    """What was picked on rank 0: a miner of another library may draw from torch's generator."""
    if indices is None:
        return None
    carried = [[each.cpu() for each in indices]]
    dist.broadcast_object_list(carried)
    return tuple(each.to(own.device) for each, own in zip(carried[0], indices, strict=True))


def _split(objective: Objective) -> list[int]:
    """Numbers of the losses that can take a part of the anchors against all references.

    A miner picks for all losses alike, so that either all that use its picks are split or none.
    """
    able = [
        isinstance(loss, EmbeddingLoss) and loss.by_anchor and isinstance(loss.miner, Miner | None)
        for loss in objective.losses
    ]
    if objective.miner is not None:
        using = [number for number, takes in enumerate(objective.takes) if "indices" in takes]
        if not isinstance(objective.miner, Miner) or not all(able[number] for number in using):
            return []
    return [number for number, one in enumerate(able) if one]
