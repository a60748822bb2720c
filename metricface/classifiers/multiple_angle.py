"""ψ(θ), the cosine of a multiple angle made monotone."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def psi(cosine: Tensor, m: int) -> Tensor:
    """``ψ(θ) = (−1)^k cos(mθ) − 2k`` for θ in ``[kπ/m, (k + 1)π/m]``, from cos θ.

    Falls strictly from 1 at θ = 0 to 1 − 2m at π. ``cos(mθ)`` is a polynomial of cos θ
    (Chebyshev's), so no arc cosine is taken and the gradient is finite everywhere, m² at most.

    Args:
        cosine: between −1 and 1, any shape.
        m: a whole number, at least 1.

    Returns:
        The same shape.

    Raises:
        ValueError: m below 1.

    Example:
        >>> psi(torch.tensor([1.0, 0.0, -1.0]), 4)
        tensor([ 1., -3., -7.])

    Reference: Liu et al., "Large-Margin Softmax Loss", ICML 2016, eq. 6 and 7; "SphereFace",
    CVPR 2017, eq. 7.
    """
    if m < 1:
        raise ValueError(f"m must be a whole number of at least 1, got {m}")
    before, multiple = torch.ones_like(cosine), cosine
    for _ in range(m - 1):
        before, multiple = multiple, 2 * cosine * multiple - before
    crossed = torch.zeros_like(cosine)  # k
    for j in range(1, m):
        crossed = crossed + (cosine < math.cos(j * math.pi / m))
    return (1 - 2 * (crossed % 2)) * multiple - 2 * crossed
