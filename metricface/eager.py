"""What torch.compile is to leave as it is: work whose results have the length of the data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def eager(function: Callable[P, T]) -> Callable[P, T]:
    """A function that runs as it is within a compiled training step, as one break in its graph.

    How many positives a batch has is known only once its labels are looked at. Compiled, that
    would be a break at each such place, and another compilation for each number.

    Example:
        >>> @eager
        ... def positives(x: torch.Tensor) -> torch.Tensor:
        ...     return x[x > 0]
        >>> positives(torch.tensor([1.0, -1.0]))
        tensor([1.])
    """

    @functools.wraps(function)
    def as_it_is(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_compiling():  # else torch.compile need not even be imported
            alone: Callable[P, T] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
            return alone(*args, **kwargs)
        return function(*args, **kwargs)

    return as_it_is
