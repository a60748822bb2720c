"""What of a training belongs to each process, and what to another number of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from metricface.distributed import rank
from metricface.distributed.alike import every
from metricface.recipes.resuming.random_state import random_state, seeded


def rank_seed(seed: int, step: int = 0) -> int:
    """Another seed for each rank, or the parts of a batch would be augmented alike.

    Args:
        seed: of the training; rank 0 keeps it, as one process would.
        step: with which the rank begins.

    Example:
        >>> rank_seed(3)  # one process
        3
    """
    if rank() == 0:
        return seed
    digest = hashlib.blake2b(f"{seed} {step} {rank()}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # numpy and torch both take 63 bits


def of_all_ranks(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a training, with the random generators of the other ranks in it.

    Args:
        state: of this rank; all ranks call this at once.
    """
    own = {"random": state["random"], "augment": state["batches"]["augment"]}
    others = every(own)[1:]
    return {**state, "ranks": others} if others else state


def of_this_rank(state: dict[str, Any], seed: int) -> dict[str, Any]:
    """The state of a training, with the random generators that this rank goes on with.

    Those it was saved with; a rank that was not there gets new ones, by seed, step and number.

    Args:
        state: from :func:`of_all_ranks`.
        seed: of the training.
    """
    if rank() == 0 or not {"step", "batches", "random"} <= state.keys():
        return state
    saved = state.get("ranks", [])
    own = saved[rank() - 1] if rank() <= len(saved) else _new(rank_seed(seed, state["step"]))
    batches = {**state["batches"], "augment": own["augment"]}
    return {**state, "batches": batches, "random": own["random"]}


def on_other_ranks(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they would be, had the same batch been shared out as it is now.

    Args:
        old: the settings of a training.
        new: those of one that wants to go on from it.

    Example:
        >>> old = {"sampler": {"p": 3, "world_size": 2, "rank": 0}, "steps": 9}
        >>> new = {"sampler": {"p": 2, "world_size": 3, "rank": 2}, "steps": 9}
        >>> on_other_ranks(old, new) == new
        True
    """
    before, now = (settings.get("sampler") for settings in (old, new))
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return dict(old)
    names = ("p", "world_size", "rank")
    if not all(isinstance(each.get(name), int) for each in (before, now) for name in names):
        return dict(old)
    if before["p"] * before["world_size"] != now["p"] * now["world_size"]:
        return dict(old)
    return {**old, "sampler": {**before, **{name: now[name] for name in names}}}


def _new(seed: int) -> dict[str, Any]:
    """Random generators as a rank has them that begins with a seed."""
    with seeded(seed):
        return {
            "random": random_state(),
            "augment": torch.Generator().manual_seed(seed).get_state(),
        }
