"""This process's share of a loss, and the value of all shares together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metricface.distributed import world_size
from metricface.distributed.facts import told
from metricface.losses import EmbeddingLoss
from metricface.losses.reduction import Sum
from metricface.recipes.objective import Objective
from metricface.recipes.processes.asked import Asked, ToCompare, first_anchor

_KINDS = 2  # of terms that a loss has at most: positives and negatives


class Term(NamedTuple):
    """This rank's part of a sum over terms of one kind."""

    place: int
    weight: float
    sum: Sum


class Shares(nn.Module):
    """What this rank computes, as a module whose parameters can be replaced in a call."""

    def __init__(self, objective: Objective, split: Sequence[int]) -> None:
        super().__init__()
        self.objective, self.split = objective, split
        #: How many sums there may be: the same number on all ranks.
        self.places = 2 * _KINDS * len(objective.losses) + 1

    def forward(self, asked: Asked, mined: ToCompare) -> list[Term]:
        """Sums over own anchors of the losses that are split, and the value of the others."""
        found = []
        x, labels, ids = (each[asked.own] for each in asked.rows)
        with first_anchor(self.objective, asked.own.start):
            for past, against in enumerate(mined.own):
                indices, ref_emb, ref_labels, ref_ids = against
                for number in self.split:
                    loss, weight = self.objective.losses[number], self.objective.weights[number]
                    if not isinstance(loss, EmbeddingLoss):
                        raise TypeError(f"{type(loss).__name__} cannot be split by anchor")
                    sums = loss.sums(
                        x, labels, indices, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids
                    )
                    weight *= self.objective.memory_weight if past else 1.0
                    first = _KINDS * (2 * number + past)
                    found += [Term(first + kind, weight, each) for kind, each in enumerate(sums)]
        others = [n for n in range(len(self.objective.losses)) if n not in self.split]
        if others:
            value = self.objective.loss(*asked.rows, mined.whole, which=others)
            mean = Sum(value, torch.ones_like(value))  # over all ranks
            found.append(Term(self.places - 1, 1.0, mean))
        return found


def value_of_all(compute: Callable[[], list[Term]], x: Tensor, places: int) -> Tensor:
    """The value from the sums of all ranks, with W times the gradient of this one's.

    Args:
        compute: gives this rank's sums.
        x: embeddings of all ranks ``[N, D]``, which they depend on.
        places: how many sums there may be.

    Raises:
        ValueError: on every rank, where any rank's computation raises.
    """
    numbers = [torch.zeros((), dtype=torch.float64, device=x.device)] * (1 + 2 * places)
    try:
        shares = compute()
    except Exception as error:  # the others have to hear of it, or they wait
        told(torch.ones_like(torch.stack(numbers)), f"{type(error).__name__}: {error}")
        raise
    for place, weight, each in shares:
        total, terms = each.total.detach().double(), each.terms.double()
        numbers[1 + 2 * place : 3 + 2 * place] = [weight * total, terms]
    every = told(torch.stack(numbers))[:, 1:].sum(0).to(x.device)
    total, terms = every[::2], every[1::2].clamp_min(1)
    # The empty sum makes every rank go backward, also one that has nothing to compare.
    own = x[:0].sum() + sum(
        each.total * (weight * world_size() / terms[place]) for place, weight, each in shares
    )
    value = (total / terms).sum() + (own - own.detach())
    return value.to(shares[0].sum.total.dtype)
