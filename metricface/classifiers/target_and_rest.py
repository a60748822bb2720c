"""The one dense step of every classifier: the target's logit, and all the others in one number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metricface.distances.unit_rows import GRADIENT_FLOOR, row_lengths, unit_rows
from metricface.torch_func import differentiated_once

#: Classes handled at a time, so that no copy of all class weights is made.
_CLASSES_AT_ONCE = 4096


def target_and_rest(
    queries: Tensor, weight: Tensor, classes: Tensor, *, unit_weight: bool = True
) -> tuple[Tensor, Tensor]:
    """Each query's logit for its own class, and the log-sum-exp of its logits for all others.

    With ``z_j = q·w_j``, or ``q·w_j/‖w_j‖`` for unit weights, returns ``z_y`` and
    ``log Σ_{j≠y} exp z_j``. Softmax cross-entropy is ``softplus(rest − target)``, and one with a
    margin ``softplus(rest − changed(target))``: a margin is arithmetic on B numbers, and nothing
    of size B×C is copied for it.

    One array of size B×C is made. It is the product, then the exponentials, then what both
    gradients are products with. Weights are never normalised: the logits are divided by their
    lengths instead, and the radial part is taken out of their gradient afterwards. Under
    autocast the three products run in its precision, everything else in that of the queries.

    Args:
        queries: ``[B, D]``, float32 or float64, already scaled.
        weight: class weights ``[C, D]`` of the same dtype; or ``[C, K, D]``, of which each query
            is compared with that of the K which gives the largest logit, the first of several.
        classes: int64 ``[B]`` from 0 to C − 1.
        unit_weight: divide each logit by the length of its class weight; a zero weight gives 0.

    Returns:
        Both ``[B]``; the second is −inf for a single class.

    Example:
        >>> queries, weight = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 5.0]])
        >>> target_and_rest(queries, weight, torch.tensor([0]))
        (tensor([3.]), tensor([0.]))
    """
    low = queries.dtype
    device = queries.device.type
    if low == torch.float32 and torch.is_autocast_enabled(device):
        low = torch.get_autocast_dtype(device)
    length = None
    each = 1 if weight.ndim == 2 else weight.shape[1]
    weight = weight.flatten(0, -2)
    if unit_weight:
        weight, length = _dividable(weight)
    with torch.autocast(device, enabled=False):
        target, rest, *_ = _TargetAndRest.apply(  # type: ignore[no-untyped-call]
            queries, weight, length, classes, low, each
        )
    return target, rest


class _TargetAndRest(torch.autograd.Function):
    """The step with its gradient; see :func:`target_and_rest`."""

    @staticmethod
    def forward(
        queries: Tensor,
        weight: Tensor,
        length: Tensor | None,
        classes: Tensor,
        low: torch.dtype,
        each: int,
    ) -> tuple[Tensor, ...]:
        """Target and rest, and for the way back the column of the target, odds and their sum."""
        factor = _factor(length)
        logits = (queries.to(low) @ weight.to(low).T).to(queries.dtype)
        if factor is not None:
            logits.mul_(factor)
        if each > 1:
            nearest = _hide_all_but_nearest_(logits, each)
            chosen = classes * each + nearest.gather(1, classes[:, None]).squeeze(1)
        else:
            chosen = classes.clone()  # what is given may not be given back as it is
        column = chosen[:, None]
        target = logits.gather(1, column).squeeze(1)
        logits.scatter_(1, column, -torch.inf)
        # With a single class the largest of the others is −inf, which may not be subtracted.
        largest = logits.amax(1).clamp_min(torch.finfo(logits.dtype).min)
        odds = logits.sub_(largest[:, None]).exp_()
        total = odds.sum(1)
        rest = largest + total.log()
        if factor is not None:
            odds.mul_(factor)
        return target, rest, chosen, odds.to(low), total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*inputs[:3], *output[2:])
        ctx.mark_non_differentiable(*output[2:])
        ctx.set_materialize_grads(False)  # of the odds it would be a table of zeros

    @staticmethod
    @differentiated_once
    def backward(
        ctx: Any, grad_target: Tensor | None, grad_rest: Tensor | None, *_: None
    ) -> tuple[Tensor | None, ...]:
        queries, weight, length, classes, odds, total = ctx.saved_tensors
        factor, weight_low = _factor(length), weight.to(odds.dtype)
        grad_target = torch.zeros_like(total) if grad_target is None else grad_target
        grad_rest = torch.zeros_like(total) if grad_rest is None else grad_rest
        if factor is not None:
            grad_target = grad_target * factor[classes]
        of_target = grad_target[:, None]
        of_rest = (grad_rest / torch.where(total > 0, total, 1.0))[:, None]
        with torch.autocast(queries.device.type, enabled=False):
            grad_queries = grad_weight = None
            if ctx.needs_input_grad[0]:
                grad_queries = (odds @ weight_low).to(queries.dtype) * of_rest
                grad_queries.addcmul_(of_target, weight[classes])
            if ctx.needs_input_grad[1]:
                grad_weight = (odds.T @ (of_rest * queries).to(odds.dtype)).to(weight.dtype)
                grad_weight.index_add_(0, classes, of_target * queries)
                if factor is not None:
                    _remove_radial_(grad_weight, weight, factor)
        return grad_queries, grad_weight, None, None, None, None


def _factor(length: Tensor | None) -> Tensor | None:
    """What logits are multiplied by to have been divided by the lengths of their weights."""
    return None if length is None else (1 / length).clamp_max(torch.finfo(length.dtype).max)


def _hide_all_but_nearest_(logits: Tensor, each: int) -> Tensor:
    """Make −inf all logits of a class but the largest; which that is, ``[B, C]``."""
    groups = logits.view(len(logits), logits.shape[1] // each, each)
    largest, nearest = groups.max(2, keepdim=True)
    groups.fill_(-torch.inf).scatter_(2, nearest, largest)
    return nearest.squeeze(2)


def _remove_radial_(gradient: Tensor, weight: Tensor, factor: Tensor) -> None:
    """Take from each row what points along its weight: lengths do not change a unit weight."""
    for start in range(0, len(weight), _CLASSES_AT_ONCE):
        some = slice(start, start + _CLASSES_AT_ONCE)
        unit, part = weight[some] * factor[some, None], gradient[some]
        part.addcmul_(unit, (part * unit).sum(1, keepdim=True), value=-1)
        if not _may_look(weight):  # then weights may be shorter than the floor
            part.div_((factor[some, None] * GRADIENT_FLOOR).clamp_min(1))


def _dividable(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and their lengths ``[C]``, which logits and gradients may be divided by.

    A weight shorter than the floor is replaced by one of that length and the same direction: so
    its gradient is that of :func:`unit_rows`, which below the floor does not grow any more.
    Nearly always no weight is that short, so the plain norm, which reads them only once, is
    tried first. The host does not wait for an accelerator to tell, and torch.compile cannot: there
    weights stay what they are, and their gradient is shortened instead.
    """
    if not _may_look(weight):
        return weight, row_lengths(weight.detach()).squeeze(1)
    length = torch.linalg.vector_norm(weight.detach(), dim=1)
    if bool(((length >= GRADIENT_FLOOR) & (length <= 1 / GRADIENT_FLOOR)).all()):
        return weight, length
    known = weight.detach()
    length = row_lengths(known)
    longer = torch.where(length < GRADIENT_FLOOR, unit_rows(known) * GRADIENT_FLOOR, known)
    return weight + (longer - known), row_lengths(longer).squeeze(1)


def _may_look(weight: Tensor) -> bool:
    """Whether Python may ask what is in it."""
    return weight.device.type == "cpu" and not torch.compiler.is_compiling()
