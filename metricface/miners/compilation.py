"""Running a dense kernel under torch.compile, or plainly where that cannot be had."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
_failed = False


def dense(kernel: Callable[P, T], *, compiled: bool) -> Callable[P, T]:
    """The kernel itself, or the same compiled into one piece for any sizes.

    Compilation happens at the first call and takes seconds. Where it fails, for want of a C++
    compiler, say, one warning tells why and the plain kernel does the work from then on.

    Args:
        kernel: a function of tensors without data-dependent shapes.
        compiled: False returns the kernel itself.

    Returns:
        A function with the same arguments and results.

    Example:
        >>> dense(torch.add, compiled=False) is torch.add
        True
    """
    if not compiled or _failed:
        return kernel
    if kernel not in _compiled:
        _compiled[kernel] = torch.compile(kernel, fullgraph=True, dynamic=True)

    def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        global _failed
        if _failed:
            return kernel(*args, **kwargs)
        try:
            result: T = _compiled[kernel](*args, **kwargs)
        except Exception as error:
            result = kernel(*args, **kwargs)  # an error that is not the compiler's is raised here
            _failed = True
            reason = " ".join(str(error).strip().splitlines()[:2])  # who raised, and what
            warnings.warn(
                f"torch.compile failed ({reason}); metricface goes on uncompiled, with the "
                "same results. A C++ compiler is needed: apt install g++, or see "
                "torch.compile's documentation.",
                stacklevel=2,
            )
        return result

    return attempt
