"""The finaliser of splitmix64, on words that numpy or torch hold."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy.typing as npt
from torch import Tensor

Words = TypeVar("Words", "npt.NDArray[Any]", Tensor)


def mixed(words: Words) -> Words:
    """Words of which every bit depends on every bit that they had.

    Args:
        words: int64, at least one dimension where numpy holds them: it warns of scalars that wrap.

    Example:
        >>> import torch
        >>> mixed(torch.tensor([1, 2]))
        tensor([ 6238072747940578789, -2606959012126976886])
    """
    # Signed words wrap around as unsigned ones do.
    words = (words ^ shifted(words, 30)) * -0x40A7B892E31B1A47
    words = (words ^ shifted(words, 27)) * -0x6B2FB644ECCEEE15
    last: Words = words ^ shifted(words, 31)
    return last


def shifted(words: Words, bits: int) -> Words:
    """Words shifted to the right, with zeros from the left where a sign would be copied.

    Example:
        >>> import torch
        >>> shifted(torch.tensor([-1]), 60)
        tensor([15])
    """
    moved: Words = (words >> bits) & ((1 << (64 - bits)) - 1)
    return moved
