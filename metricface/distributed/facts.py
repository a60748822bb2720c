"""What all ranks have to agree on before their rows travel: an error on all, not a hang."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from metricface.distributed.keys import KINDS
from metricface.distributed.world import travels_on

FLOATS = sorted(
    (v for v in vars(torch).values() if isinstance(v, torch.dtype) and v.is_floating_point),
    key=str,
)
_CALLED = dict(zip(KINDS, ("integers", "strings", "byte strings"), strict=True))


class Facts(NamedTuple):
    """What one rank brings, in numbers."""

    broken: int = 0
    """Whether its arguments are wrong."""
    rows: int = 0
    dim: int = 0
    dtype: int = 0
    """Its place in ``FLOATS``."""
    gradient: int = 0
    """Whether it will go backward."""
    has_ids: int = 0
    label_kind: int = 0
    """Its place in ``KINDS``."""
    label_width: int = 1
    id_kind: int = 0
    id_width: int = 1


def agreed(own: Facts, device: torch.device, sentence: str = "") -> list[Facts]:
    """The facts of all ranks, in rank order; the same error on all of them if there is any.

    One small collective, and a second one only to tell an error.

    Args:
        own: of this rank.
        device: on which the facts travel.
        sentence: what is wrong, where this rank's facts are ``broken``.

    Raises:
        ValueError: a rank that was given something wrong, or ranks that do not fit together.
    """
    every = told(torch.tensor(own, device=device), sentence)
    facts = [Facts(*numbers) for numbers in every.tolist()]
    for name in (_dimension, _dtype, _has_ids, _labels, _ids):
        _check_alike(facts, name)
    return facts


def told(own: Tensor, sentence: str = "") -> Tensor:
    """Some numbers of all ranks, in rank order; an error on all of them if there is one on any.

    Args:
        own: those of this rank ``[k]``; the first is not 0 where something is wrong.
        sentence: what is wrong then.

    Returns:
        ``[W, k]``.

    Raises:
        ValueError: on every rank the sentence of the first at which something is wrong.
    """
    own = own.to(travels_on(own))
    every = own.new_empty(dist.get_world_size(), len(own))
    dist.all_gather(list(every.unbind()), own)
    wrong = every[:, 0].nonzero().flatten().tolist()
    if wrong:
        sentences = [""] * len(every)
        dist.all_gather_object(sentences, sentence)
        raise ValueError(f"rank {wrong[0]} of {len(every)}: {sentences[wrong[0]]}")
    return every


def _check_alike(facts: list[Facts], says: Callable[[Facts], str | None]) -> None:
    """Raise if two ranks say different things; a rank may have nothing to say."""
    said = [(place, says(each)) for place, each in enumerate(facts) if says(each) is not None]
    for place, words in said[1:]:
        if words != said[0][1]:
            raise ValueError(
                f"the ranks of one batch must agree, but rank {place} of {len(facts)} has "
                f"{words} and rank {said[0][0]} has {said[0][1]}"
            )


def _dimension(facts: Facts) -> str:
    return f"embeddings of dimension {facts.dim}"


def _dtype(facts: Facts) -> str:
    return f"embeddings of {FLOATS[facts.dtype]}"


def _has_ids(facts: Facts) -> str:
    return "ids" if facts.has_ids else "no ids"


def _labels(facts: Facts) -> str | None:
    return f"{_CALLED[KINDS[facts.label_kind]]} as labels" if facts.rows else None


def _ids(facts: Facts) -> str | None:
    return f"{_CALLED[KINDS[facts.id_kind]]} as ids" if facts.rows else None
