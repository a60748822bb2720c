"""Embeddings of a whole dataset."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from metricface.distributed import rank, world_size
from metricface.distributed.alike import everywhere
from metricface.distributed.rows import gather_rows
from metricface.embeddings import working_dtype
from metricface.given import check_instance
from metricface.recipes.batches import (
    InputsOf,
    Labelled,
    WithIndex,
    collated,
    rest_before_fork,
    taken,
)
from metricface.recipes.processes.network import one_tensor, plain


@torch.no_grad()
def embed(
    model: nn.Module,
    data: Labelled,
    *,
    batch_size: int = 128,
    workers: int = 0,
    amp: torch.dtype | None = None,
    batch: InputsOf | None = None,
) -> Tensor:
    """Embeddings of all items, in their order, on the model's device.

    The model is in evaluation mode meanwhile. Of one in DistributedDataParallel the network within
    is asked, by this process alone.

    Args:
        model: maps inputs ``[B, …]`` to embeddings ``[B, D]``.
        data: item ``i`` is an input, or begins with one.
        batch_size: inputs at a time.
        workers: processes that fetch.
        amp: runs the model under autocast in that type.
        batch: takes the inputs from a collated batch of items, as of dicts:
            ``operator.itemgetter("image")``.

    Returns:
        ``[N, D]``, float32 (float64 of a double model).

    Raises:
        ValueError: an empty dataset.
        TypeError: a ``batch`` that cannot be called, inputs or embeddings that are no tensor, a
            DataLoader in place of its dataset.

    Example:
        >>> import numpy as np
        >>> from metricface.data import ImageSet
        >>> images = ImageSet(np.zeros((3, 4, 4), np.uint8), np.array([0, 0, 1]), ("anna", "ben"))
        >>> embed(nn.Flatten(), images).shape
        torch.Size([3, 16])
    """
    check_instance("model", model)
    _check_dataset(data)
    if len(data) == 0:
        raise ValueError("the dataset is empty: there is nothing to embed")
    if batch is not None and not callable(batch):
        raise TypeError(
            f"batch must take the inputs from a batch of items, got {batch!r}; the number of "
            "inputs at a time is batch_size="
        )
    model = plain(model)
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    loader = DataLoader(
        WithIndex(data, whole=batch is not None),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collated,
        generator=torch.Generator().manual_seed(0),  # else it draws from the global one
    )
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
            parts = [one_tensor(model(taken(fetched, batch, device)[0])) for fetched in loader]
        return torch.cat([part.to(working_dtype(part)) for part in parts])
    finally:
        for module, mode in modes.items():
            module.training = mode


def embed_together(
    model: nn.Module,
    data: Labelled,
    *,
    workers: int = 0,
    amp: torch.dtype | None = None,
    batch: InputsOf | None = None,
) -> Tensor:
    """As :func:`embed`, but each rank runs the model over its part of the dataset.

    Args:
        model: the same on all ranks.
        data: the same on all ranks.
        workers: processes that fetch, for each rank.
        amp: runs the model under autocast in that type.
        batch: as of :func:`embed`.

    Returns:
        ``[N, D]``, all of them on every rank.

    Raises:
        Exception: on every rank, what is raised on any.
    """
    count, world = len(data), world_size()
    if world == 1 or count == 0:
        return embed(model, data, workers=workers, amp=amp, batch=batch)
    bounds = [count * place // world for place in range(world + 1)]
    counts = [stop - start for start, stop in pairwise(bounds)]
    start = min(bounds[rank()], count - 1)  # a rank without a part learns of the dimension
    part = Picked(data, range(start, start + max(counts[rank()], 1)))
    rest_before_fork(workers)
    own = everywhere(lambda: embed(model, part, workers=workers, amp=amp, batch=batch))
    return gather_rows(own[: counts[rank()]], counts).to(own.device)


def embedding_dim(model: nn.Module, data: Labelled, batch: InputsOf | None = None) -> int:
    """D, from the embedding of the first item; ``batch`` as of :func:`embed`."""
    return embed(model, Picked(data, range(min(1, len(data)))), batch=batch).shape[1]


def _check_dataset(data: object) -> None:
    if not isinstance(data, Labelled):
        instead = ": give its .dataset, and batch_size=" if isinstance(data, DataLoader) else ""
        raise TypeError(
            "data must be a dataset with items by number and a length, got a "
            f"{type(data).__name__}{instead}"
        )


class Picked:
    """A dataset of some items of another, for :func:`embed`; their identities are not known.

    Args:
        data: the other.
        numbers: of its items.

    Example:
        >>> import numpy as np
        >>> from metricface.data import ImageSet
        >>> grey = np.arange(3, dtype=np.uint8).repeat(4).reshape(3, 2, 2)
        >>> images = ImageSet(grey, np.arange(3), ("a", "b", "c"))
        >>> some = Picked(images, [2, 0])
        >>> len(some), round(float(some[0][0].max()) * 255)
        (2, 2)
    """

    def __init__(self, data: Labelled, numbers: Sequence[int] | npt.NDArray[np.int64]) -> None:
        self.data, self._numbers = data, numbers
        self.labels = range(len(numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Any:
        return self.data[int(self._numbers[index])]
