"""What torch.func makes of tensors, and what is done in spite of it.

Torch has no public names for these questions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

_Given = ParamSpec("_Given")
_Gradients = TypeVar("_Gradients")


def differentiated_once(backward: Callable[_Given, _Gradients]) -> Callable[_Given, _Gradients]:
    """A way back, written out, that has none itself: to ask for one is an error.

    Torch's ``once_differentiable`` makes it one only where the incoming gradient has a graph. What
    comes into a loss is mostly the number 1, and its second derivative would be 0 in silence.

    Args:
        backward: of a ``torch.autograd.Function``.

    Example:
        >>> class Square(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...     @staticmethod
        ...     @differentiated_once
        ...     def backward(ctx, gradient):
        ...         return gradient * 2 * ctx.saved_tensors[0]
        >>> x = torch.ones((), requires_grad=True)
        >>> torch.autograd.grad(Square.apply(x), x)
        (tensor(2.),)
        >>> torch.autograd.grad(Square.apply(x), x, create_graph=True)
        Traceback (most recent call last):
        ...
        RuntimeError: create_graph=True asks for second derivatives, which this loss ...
    """

    @wraps(backward)
    def once(*given: _Given.args, **named: _Given.kwargs) -> _Gradients:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling() and not transformed():
            raise RuntimeError(
                "create_graph=True asks for second derivatives, which this loss or distance has "
                "not: give it the other parts of the loss alone"
            )
        with torch.no_grad():
            return backward(*given, **named)

    return once


def applied(function: type[torch.autograd.Function], *given: Any) -> Any:
    """What a function with a gradient of its own gives, without autograd where none is recorded.

    Autograd's bookkeeping of such a function takes as long as the work on a small batch.

    Args:
        function: whose context is set up apart from its ``forward``.
        given: to it.

    Example:
        >>> class Square(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(x):
        ...         return x * x
        >>> with torch.no_grad():
        ...     applied(Square, torch.tensor([3.0]))
        tensor([9.])
    """
    return function.apply(*given) if torch.is_grad_enabled() else function.forward(*given)  # type: ignore[no-untyped-call]


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
