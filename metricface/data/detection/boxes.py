"""Boxes as they pass from network to network: ``[N, 4]`` of left, top, right and bottom edges."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def strongest(
    boxes: Tensor,
    scores: Tensor,
    most: float,
    *,
    of: Literal["union", "smaller"] = "union",
) -> Tensor:
    """Non-maximum suppression: of boxes that overlap too much, the one with the highest score.

    The boxes are taken from the highest score downwards; one is dropped if it overlaps too much
    with one that was kept. Among equal scores the first comes first. Memory grows with N, not
    with its square.

    Args:
        boxes: ``[N, 4]``.
        scores: ``[N]``.
        most: the largest overlap that two may have and both stay.
        of: what the area they share is divided by: the area of both together, or that of the
            smaller one, which also drops a box inside another.

    Returns:
        Which boxes stay, the highest score first.

    Example:
        >>> boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
        >>> strongest(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5)
        tensor([1, 2])
    """
    left = scores.argsort(descending=True, stable=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept: list[int] = []
    while len(left):
        # A number, as a view would keep all that are left now.
        best, left = int(left[0]), left[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[left, :2])
        high = torch.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        if of == "union":
            whole = areas[best] + areas[left] - shared
        else:
            whole = torch.minimum(areas[best], areas[left])
        left = left[shared <= most * whole]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def moved(boxes: Tensor, moves: Tensor) -> Tensor:
    """Boxes whose edges are moved by shares of their width and height.

    Args:
        boxes: ``[N, 4]``.
        moves: ``[N, 4]``, one share for each edge.

    Example:
        >>> moved(torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[0.1, 0.1, 0.0, -0.1]]))
        tensor([[ 1.,  2., 10., 18.]])
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + moves * sides.repeat(1, 2)


def squared(boxes: Tensor) -> Tensor:
    """Squares of whole pixels about the centres of boxes, as wide as the longer side.

    Args:
        boxes: ``[N, 4]``.

    Returns:
        Edges that are whole numbers; a box of less than half a pixel has no width.

    Example:
        >>> squared(torch.tensor([[0.0, 2.0, 10.3, 8.0]]))
        tensor([[ 0.,  0., 10., 10.]])
    """
    side = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True).round()
    low = ((boxes[:, :2] + boxes[:, 2:] - side) / 2).round()
    return torch.cat([low, low + side], 1)
