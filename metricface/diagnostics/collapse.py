"""When a hinge sits at its margin and the embeddings contract."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal


class CollapseWatch:
    """Remembers the last losses and the first spread."""

    def __init__(self, margin: float | Literal["soft"], window: int, tolerance: float) -> None:
        self._stuck_at = math.log(2) if margin == "soft" else float(margin)
        self._slack = tolerance * self._stuck_at
        self._losses: deque[float] = deque(maxlen=window)
        self._first: float | None = None

    def see(self, loss: float, spread: float) -> str | None:
        """Why this is a collapse, or None."""
        self._first = spread if self._first is None else self._first
        self._losses.append(loss)
        stuck = all(abs(each - self._stuck_at) <= self._slack for each in self._losses)
        if len(self._losses) < (self._losses.maxlen or 0) or not stuck:
            return None
        if not spread < self._first / 2:
            return None
        return (
            f"embeddings collapse: the loss has stayed at {self._stuck_at:.3g} ± "
            f"{self._slack:.2g} for {len(self._losses)} steps while the spread fell from "
            f"{self._first:.3g} to {spread:.3g}; mine less hard negatives or lower the "
            "learning rate"
        )
