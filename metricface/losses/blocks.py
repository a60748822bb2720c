"""A loss over everything, a block of anchors at a time.

Such a loss is a sum of what each anchor says of its row of distances, so its gradient is a sum of
the gradients of blocks. Each is taken as soon as the block's sums are known, and the block is
forgotten: nothing of size B×R is ever held, and no distance is made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from metricface.distances.distance import centre
from metricface.losses.reduction import Sum, joined
from metricface.torch_func import differentiated_once, transformed


class BlockRows(NamedTuple):
    """The rows whose distances a block is made of."""

    query: Tensor
    """Its anchors ``[b, D]``."""
    other: Tensor
    """All references ``[R, D]``."""
    near: Tensor
    """Its anchors less the centre, for the matrix product."""
    far: Tensor
    """All references less the centre."""


#: The sums of a block: from the number of its first anchor, its rows, and what the terms of all
#: anchors depend on besides ``[B]``.
OfBlock: TypeAlias = "Callable[[int, BlockRows, Tensor | None], list[Sum]]"


def sums_of_blocks(
    of_block: OfBlock,
    blocks: Iterable[tuple[int, int]],
    query: Tensor,
    other: Tensor,
    beside: Tensor | None = None,
    parameters: Sequence[Tensor] = (),
) -> list[Sum]:
    """The sums of all blocks, and their gradient. What is one block is differentiated as it is.

    Args:
        of_block: the sums of one; as many of them for each.
        blocks: starts and stops of the anchors.
        query: rows of the anchors ``[B, D]``.
        other: rows of the references ``[R, D]``; may be the query.
        beside: what the terms of each anchor depend on besides ``[B]``.
        parameters: that ``of_block`` uses and that are to be trained.

    Example:
        >>> def of_block(start, rows, beside):
        ...     return [Sum((rows.near @ rows.far.T).sum(), torch.tensor(len(rows.near)))]
        >>> x = torch.tensor([[1.0], [2.0], [-3.0]], requires_grad=True)
        >>> (found,) = sums_of_blocks(of_block, [(0, 2), (2, 3)], x, x + 1)
        >>> found.terms, torch.autograd.grad(found.total, x)[0].flatten()
        (tensor(3), tensor([3., 3., 3.]))
    """
    middle = centre(other) if len(other) else other.new_zeros(())
    far, cuts = other - middle, list(blocks)
    if len(cuts) < 2:
        return of_block(0, BlockRows(query, other, query - middle, far), beside)
    # Under torch.func gradients are not asked of the blocks but of all that is done here.
    if torch.is_grad_enabled() and not transformed():
        flat = _OverBlocks.apply(  # type: ignore[no-untyped-call]
            of_block, cuts, middle, query, other, far, beside, *parameters
        )
        return [Sum(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    parts = [
        of_block(start, BlockRows(own, other, own - middle, far), beside)
        for start, own in ((start, query[start:stop]) for start, stop in cuts)
    ]
    return [joined(kind) for kind in zip(*parts, strict=True)]


class _OverBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        of_block: OfBlock,
        blocks: Sequence[tuple[int, int]],
        middle: Tensor,
        query: Tensor,
        other: Tensor,
        far: Tensor,
        beside: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        """Totals and numbers of terms of each kind; their gradients are kept for the way back."""
        wanted = ctx.needs_input_grad[3:]
        inputs = query, other, far, beside, *parameters
        # Each block has a graph of its own, which begins here.
        query, other, far = query.detach(), _leaf(other, wanted[1]), _leaf(far, wanted[2])
        beside = None if beside is None else _leaf(beside, wanted[3])
        kinds: list[Sum] = []
        gradients: list[list[Tensor | None]] = []  # of each kind, in each input
        # Autocast is off: it would take what is differentiated here in half precision.
        with torch.enable_grad(), torch.autocast(query.device.type, enabled=False):
            for start, stop in blocks:
                own = _leaf(query[start:stop], wanted[0])
                sums = of_block(start, BlockRows(own, other, own - middle, far), beside)
                gradients = gradients or [_blank(inputs, wanted) for _ in sums]
                kinds = kinds or [Sum(*map(torch.zeros_like, each)) for each in sums]
                for kind, found, (of_query, *rest) in zip(kinds, sums, gradients, strict=True):
                    of_own = None if of_query is None else of_query[start:stop]
                    leaves = [own, other, far, beside, *parameters]
                    _add_gradient(found.total, leaves, [of_own, *rest])
                    kind.total.add_(found.total.detach())
                    kind.terms.add_(found.terms)
        ctx.save_for_backward(*(each for kind in gradients for each in kind))
        ctx.mark_non_differentiable(*(each.terms for each in kinds))
        return tuple(each for pair in kinds for each in pair)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of all kinds, each times what its total was multiplied by."""
        totals, saved = grads[::2], ctx.saved_tensors
        inputs = len(saved) // len(totals)
        answer: list[Tensor | None] = []
        for place in range(inputs):
            kinds = zip(totals, saved[place::inputs], strict=True)
            known = [total * each for total, each in kinds if each is not None]
            answer.append(torch.stack(known).sum(0) if known else None)
        return None, None, None, *answer


def _leaf(tensor: Tensor, wanted: bool) -> Tensor:  # noqa: FBT001
    return tensor.detach().requires_grad_(wanted)


def _blank(inputs: Sequence[Tensor | None], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Zeros for the gradient in each input that has one."""
    return [
        torch.zeros_like(each) if each is not None and needed else None
        for each, needed in zip(inputs, wanted, strict=True)
    ]


def _add_gradient(
    total: Tensor, leaves: Sequence[Tensor | None], into: Sequence[Tensor | None]
) -> None:
    """Add the gradient of a total in each leaf to what is known of it."""
    pairs = zip(leaves, into, strict=True)
    used = [(leaf, known) for leaf, known in pairs if leaf is not None and known is not None]
    if not total.requires_grad:  # nothing to compare in this block
        return
    grads = torch.autograd.grad(
        total, [leaf for leaf, _ in used], retain_graph=True, allow_unused=True
    )
    for (_, known), grad in zip(used, grads, strict=True):
        if grad is not None:
            known += grad
