"""Non-maximum suppression in slow loops; nothing here imports the library."""

from __future__ import annotations

from collections.abc import Sequence

Box = Sequence[float]


def strongest(boxes: Sequence[Box], scores: Sequence[float], most: float, of: str) -> list[int]:
    """Which boxes stay, the highest score first."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(_overlap(boxes[i], boxes[j], of) <= most for j in kept):
            kept.append(i)
    return kept


def _overlap(one: Box, other: Box, of: str) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    shared = width * height
    return shared / (min(areas) if of == "smaller" else sum(areas) - shared)
