"""What is refused before a training begins."""

from __future__ import annotations

import os

from torch import nn

from metricface.distributed import world_size
from metricface.given import as_count, check_instance
from metricface.recipes.batches import BatchSampler, Labelled
from metricface.recipes.look_alikes import LookAlikes
from metricface.recipes.options import Options
from metricface.samplers import HardIdentitySampler


def check_asked(
    steps: int,
    sampler: BatchSampler,
    look_alikes: LookAlikes | None,
    validation: Labelled | None,
    folder: str | os.PathLike[str] | None,
    options: Options,
) -> None:
    """Refuse what would otherwise be ignored, or fail late.

    Raises:
        ValueError: of arguments of :func:`fit` that do not go together.
        TypeError: steps that are not whole, a class where an instance is wanted.
    """
    as_count("steps", steps)
    for name, part in (("sampler", sampler), ("look_alikes", look_alikes), ("options", options)):
        check_instance(name, part)
    if options.patience is not None and validation is None:
        raise ValueError("patience needs validation data, got none")
    if options.tensorboard and folder is None:
        raise ValueError("tensorboard=True needs a folder to write to, got none")
    if look_alikes is not None and not isinstance(sampler, HardIdentitySampler):
        raise ValueError(f"look_alikes needs a HardIdentitySampler, got {type(sampler).__name__}")
    shares = getattr(sampler, "world_size", world_size())
    if world_size() > 1 and shares != world_size():
        raise ValueError(
            f"{world_size()} processes train, but the sampler shares its batches out among "
            f"{shares}: make it after init_process_group, without rank and world_size"
        )


def check_whole(*modules: nn.Module) -> None:
    """Refuse weights that are split over processes: rank 0 could not save them.

    Args:
        *modules: network and objective.

    Raises:
        ValueError: a parameter of which each process holds a part.
    """
    for name, each in (named for module in modules for named in module.named_parameters()):
        if hasattr(each, "placements"):  # a DTensor, which not every torch can import
            raise ValueError(
                f"{name} is split over the processes, but a recipe keeps all weights in one "
                "checkpoint: train it in a loop of your own, with torch.distributed.checkpoint"
            )
