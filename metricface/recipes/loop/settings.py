"""All that a training was set to, for the checkpoint that it writes and goes on from."""

from __future__ import annotations

import zlib
from dataclasses import fields
from typing import Any

from torch import nn

from metricface.distributed.alike import every
from metricface.recipes.batches import BatchSampler, Labelled, identity_numbers
from metricface.recipes.look_alikes import LookAlikes
from metricface.recipes.objective import Objective
from metricface.recipes.options import Options
from metricface.recipes.resuming.described import changes, described
from metricface.recipes.resuming.ranks import on_other_ranks

#: Options that change what is seen or how fast it comes, but not what comes.
_INDIFFERENT = {"workers", "monitor", "tensorboard", "device", "progress"}


def training_settings(
    model: nn.Module,
    data: Labelled,
    objective: Objective,
    *,
    sampler: BatchSampler,
    steps: int,
    look_alikes: LookAlikes | None,
    validation: Labelled | None,
    options: Options,
) -> dict[str, Any]:
    """What must be the same for a training to go on: the arguments of :func:`fit`, described."""
    chosen = {each.name: getattr(options, each.name) for each in fields(options)}
    return {
        "model": str(model).splitlines(),
        "parameters": {name: _weight(each) for name, each in model.named_parameters()},
        "losses": described(objective.losses),
        "weights": described(objective.weights),
        "miner": described(objective.miner),
        "memory": described(objective.memory),
        "memory_weight": described(objective.memory_weight),
        "sampler": described(sampler),
        "look_alikes": described(look_alikes),
        "data": _labelled(data),
        "validation": None if validation is None else _labelled(validation),
        "steps": steps,
        "options": {k: described(v) for k, v in chosen.items() if k not in _INDIFFERENT},
    }


def check_agreed(settings: dict[str, Any]) -> None:
    """Refuse ranks that are about to train differently; else they would wait for each other.

    Args:
        settings: of this rank.

    Raises:
        ValueError: on every rank, naming what differs.
    """
    first, *others = every(settings)
    for place, each in enumerate(others, 1):
        differs = changes(on_other_ranks(first, each), each)
        if differs:
            raise ValueError(
                f"all ranks must train alike, but from rank 0 to rank {place} of "
                f"{len(others) + 1} something changes: {'; '.join(differs)}"
            )


def _weight(parameter: nn.Parameter) -> str:
    kind = str(parameter.dtype).removeprefix("torch.")
    return f"{kind} {list(parameter.shape)}{'' if parameter.requires_grad else ' frozen'}"


def _labelled(data: Labelled) -> dict[str, Any]:
    numbers = identity_numbers(data)
    return {"items": len(numbers), "labels": f"checksum {zlib.crc32(numbers.tobytes()):08x}"}
