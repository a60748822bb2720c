"""What torch.func makes of tensors, and what is done in spite of it.

Torch has no public names for these questions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def transformed() -> bool:
    """Whether a transform of torch.func is at work.

    Example:
        >>> transformed(), torch.func.grad(lambda x: x * transformed())(torch.ones(()))
        (False, tensor(1.))
    """
    if torch.compiler.is_compiling():
        return False
    return bool(torch._C._are_functorch_transforms_active())


def mapped(values: Tensor) -> bool:
    """Whether these are all the entries of a ``torch.func.vmap`` at once.

    Example:
        >>> found = []
        >>> torch.func.vmap(lambda x: found.append(mapped(x)) or x)(torch.ones(2, 1)).shape, found
        (torch.Size([2, 1]), [True])
    """
    while transformed() and torch._C._functorch.is_functorch_wrapped_tensor(values):
        if torch._C._functorch.is_batchedtensor(values):
            return True
        values = torch._C._functorch.get_unwrapped(values)
    return False


def remember(buffer: Tensor, value: Tensor, rows: Tensor | None = None) -> None:
    """Write into a buffer what is no part of any gradient, also within ``torch.func.grad``.

    Args:
        buffer: of a module.
        value: what it becomes, or what its rows become.
        rows: indices; None for all of it.

    Example:
        >>> buffer = torch.zeros(3)
        >>> def square(x: torch.Tensor) -> torch.Tensor:
        ...     remember(buffer, x, torch.tensor([1]))
        ...     return (x * x).sum()
        >>> torch.func.grad(square)(torch.tensor([5.0])), buffer
        (tensor([10.]), tensor([0., 5., 0.]))
    """
    if not transformed():
        _write(buffer, value, rows)
        return
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

    buffer, value = _bare(buffer), _bare(value)
    rows = None if rows is None else _bare(rows)
    with temporarily_clear_interpreter_stack():
        _write(buffer, value, rows)


@torch.no_grad()
def _write(buffer: Tensor, value: Tensor, rows: Tensor | None) -> None:
    if rows is None:
        buffer.copy_(value)
    else:
        buffer[rows] = value.to(buffer.dtype)


def _bare(values: Tensor) -> Tensor:
    """What a tensor of torch.func is about."""
    while torch._C._functorch.is_functorch_wrapped_tensor(values):
        values = torch._C._functorch.get_unwrapped(values)
    return values
