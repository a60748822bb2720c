"""Embeddings of a whole dataset."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from metricface.embeddings import working_dtype
from metricface.recipes.batches import Labelled, WithIndex, collated


@torch.no_grad()
def embed(
    model: nn.Module,
    data: Labelled,
    *,
    batch: int = 128,
    workers: int = 0,
    amp: torch.dtype | None = None,
) -> Tensor:
    """Embeddings of all items, in their order, on the model's device.

    The model is in evaluation mode meanwhile.

    Args:
        model: maps inputs ``[B, …]`` to embeddings ``[B, D]``.
        data: item ``i`` is an input, or begins with one.
        batch: inputs at a time.
        workers: processes that fetch.
        amp: runs the model under autocast in that type.

    Returns:
        ``[N, D]``, float32 (float64 of a double model).

    Raises:
        ValueError: an empty dataset.

    Example:
        >>> import numpy as np
        >>> from metricface.data import ImageSet
        >>> images = ImageSet(np.zeros((3, 4, 4), np.uint8), np.array([0, 0, 1]), ("anna", "ben"))
        >>> embed(nn.Flatten(), images).shape
        torch.Size([3, 16])
    """
    if len(data) == 0:
        raise ValueError("the dataset is empty: there is nothing to embed")
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    loader = DataLoader(
        WithIndex(data),
        batch_size=batch,
        num_workers=workers,
        collate_fn=collated,
        generator=torch.Generator().manual_seed(0),  # else it draws from the global one
    )
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
            parts = [model(inputs.to(device)) for inputs, _ in loader]
        return torch.cat([part.to(working_dtype(part)) for part in parts])
    finally:
        for module, mode in modes.items():
            module.training = mode


def embedding_dim(model: nn.Module, data: Labelled) -> int:
    """D, from the embedding of the first item."""
    return embed(model, _First(data)).shape[1]


class _First:
    """A dataset of the first item of another."""

    def __init__(self, data: Labelled) -> None:
        self.data, self.labels = data, [0]

    def __len__(self) -> int:
        return min(1, len(self.data))

    def __getitem__(self, index: int) -> object:
        return self.data[index]
