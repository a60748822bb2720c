"""Embeddings such as a trained model makes, at any number."""

from __future__ import annotations

import torch
from torch import Tensor

IMAGES_PER_IDENTITY = 12
_PART = 1 << 16


def clustered(samples: int, dim: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Unit embeddings in identities of about 12, and their labels.

    Centres lie in a subspace of 24 dimensions, with noise in all dimensions around them.
    """
    generator = torch.Generator().manual_seed(seed)
    identities = max(2, samples // IMAGES_PER_IDENTITY)
    labels = torch.randint(identities, (samples,), generator=generator)
    inner = min(24, dim)
    directions = torch.linalg.qr(torch.randn(dim, inner, generator=generator)).Q
    centres = torch.randn(identities, inner, generator=generator) @ directions.T
    x = torch.randn(samples, dim, generator=generator)
    # In parts: a second matrix of this size would hide what a measure adds to the peak.
    for part, own in zip(torch.split(x, _PART), torch.split(labels, _PART), strict=True):
        part.mul_(0.25).add_(centres[own])
        torch.nn.functional.normalize(part, out=part)
    return x, labels
