"""open-metric-learning's batch-hard miner, where that library can be had at all."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def batch_hard() -> tuple[Callable[[Tensor, Tensor], object] | None, str]:
    """Its ``HardTripletsMiner`` as a function of embeddings and labels, or why there is none.

    Version 4.0 asks for numpy below 2 and imports torchvision, albumentations and others
    wherever any of it is imported, so it seldom stands beside a current torch.

    Returns:
        The miner or None, and a sentence.
    """
    try:
        from oml.miners.inbatch_hard_tri import HardTripletsMiner
    except ImportError as missing:
        return None, f"open-metric-learning is not measured: {missing}"
    miner = HardTripletsMiner()
    return lambda embeddings, labels: miner.sample(embeddings, labels.tolist()), "measured"
