"""Which classes are whose, and the rows of them that a process keeps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.classifiers.classifier import Classifier
from metricface.classifiers.coco import COCO
from metricface.classifiers.softmax import Softmax
from metricface.distributed import rank, world_size
from metricface.distributed.world import travels_on
from metricface.given import arrived

#: Rows drawn at a time; a multiple of 16, in which torch draws normal numbers on the CPU.
_ROWS_AT_ONCE = 4096


def own_classes(num_classes: int) -> range:
    """The classes of this process: ``⌈C/W⌉`` from the first rank on, as torch splits rows.

    The last ranks may have fewer, or none.

    Example:
        >>> own_classes(5)  # one process
        range(0, 5)
    """
    each = -(-num_classes // world_size())
    first = min(rank() * each, num_classes)
    return range(first, min(first + each, num_classes))


def check_head(head: object) -> None:
    """Raise unless the head is a classifier whose loss comes apart by class.

    Raises:
        TypeError: not a classifier.
        ValueError: one whose loss does not come apart.

    Example:
        >>> check_head(nn.Linear(2, 2))
        Traceback (most recent call last):
        ...
        TypeError: head must be a classifier of metricface, got Linear
    """
    if not isinstance(head, Classifier):
        raise TypeError(f"head must be a classifier of metricface, got {arrived(head)}")
    name = type(head).__name__
    if head.reduction == "none":
        raise ValueError('reduction="none" gives no one number to train on')
    if any(hasattr(rows, "to_local") for rows in head.by_class().values()):
        raise ValueError(f"the classes of this {name} are split already")
    if isinstance(head, COCO) and head.centroids == "batch":
        raise ValueError(
            'COCO(centroids="batch") compares a batch with its own means and trains no class '
            "weights that could be split: GlobalBatchLoss gives its loss on several processes"
        )
    if head.weight.is_meta and head.weight.ndim > 2:
        raise ValueError(
            f"the sub-centres of {name} cannot be drawn a part at a time: build it on a device "
            "that holds them, not on meta"
        )
    if any(len(rows) != head.num_classes for rows in head.by_class().values()):
        raise ValueError(f"{name} has not one row of weights for each class")
    if type(head).forward not in (Classifier.forward, COCO.forward, Softmax.forward):
        raise ValueError(
            f"{name} has a forward of its own, which cannot be split by class. GlobalBatchLoss "
            "gives its loss on several processes; to be split, a head overrides products and terms"
        )


def keep_own_(head: Classifier) -> range:
    """Take from a head all rows but those of this process's classes.

    On several processes what has a row for each class becomes a DTensor, whose local part is all
    that this process holds. What has no values yet, on the meta device, begins as it would have.

    Args:
        head: all of it.

    Returns:
        Which classes are left.
    """
    own = own_classes(head.num_classes)
    for name, parameter in head.by_class().items():
        if world_size() > 1 or parameter.is_meta:
            spread = _spread(_own_rows(head, name, own), parameter.shape)
            setattr(head, name, nn.Parameter(spread, requires_grad=parameter.requires_grad))
    for name, value in head.start_values().items():
        tensor = getattr(head, name)
        if tensor.is_meta:
            begun = torch.full_like(tensor, value, device="cpu", requires_grad=False)
            if isinstance(tensor, nn.Parameter):
                begun = nn.Parameter(begun, requires_grad=tensor.requires_grad)
            setattr(head, name, begun)
    return own


def _own_rows(head: Classifier, name: str, own: range) -> Tensor:
    """A copy, so that the other rows are freed."""
    rows = head.by_class()[name].detach()
    if not rows.is_meta:
        return rows[own.start : own.stop].clone()
    if name == "weight":
        return drawn_rows(head.num_classes, head.dim, own).to(rows.dtype)
    return rows.new_full((len(own), *rows.shape[1:]), head.start_values()[name], device="cpu")


def drawn_rows(num_classes: int, dim: int, own: range) -> Tensor:
    """Some rows of the weights with which a head begins, of which never many are drawn at a time.

    torch's generator goes on as if all of them had been.

    Args:
        num_classes: C.
        dim: D.
        own: the rows that are kept.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> some = drawn_rows(5, 4, range(1, 3))
        >>> _ = torch.manual_seed(0)
        >>> bool((some == drawn_rows(5, 4, range(5))[1:3]).all())
        True
    """
    kept = torch.empty(len(own), dim, device="cpu")
    # The last piece is the longest: a short one would be drawn in another way.
    starts = range(0, max(num_classes - _ROWS_AT_ONCE, 0) + 1, _ROWS_AT_ONCE)
    for start in starts:
        stop = num_classes if start == starts[-1] else start + _ROWS_AT_ONCE
        piece = torch.randn(stop - start, dim, device="cpu")
        first, last = max(start, own.start), min(stop, own.stop)
        if first < last:
            kept[first - own.start : last - own.start] = piece[first - start : last - start]
    return kept.mul_(dim**-0.5)


def local(parameter: Tensor) -> Tensor:
    """The rows that this process holds, through which a gradient reaches the parameter."""
    if world_size() == 1:
        return parameter
    rows: Tensor = parameter.to_local(grad_placements=parameter.placements)  # type: ignore[attr-defined]
    return rows


def _spread(rows: Tensor, shape: torch.Size) -> Tensor:
    """The rows of all processes as one tensor of which each holds its own."""
    if world_size() == 1:
        return rows
    # Here, for it takes most of a second, and one process has no need of it.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard

    mesh = init_device_mesh(travels_on(rows).type, (world_size(),))
    whole = torch.empty(shape, device="meta")
    spread: Tensor = DTensor.from_local(
        rows, mesh, [Shard(0)], run_check=False, shape=shape, stride=whole.stride()
    )
    return spread
