"""What a training has shown so far, and which evaluation was best."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

from torch import nn

Row = dict[str, float]


@dataclass
class Best:
    """The best evaluation so far, and the weights it was of where they are kept."""

    step: int
    value: float
    weights: dict[str, Any] | None


@dataclass
class History:
    """The rows of all evaluations, in their order.

    Args:
        metric: which number decides, larger is better; None where nothing is measured.
        keep: keep the weights of the best.
    """

    metric: str | None
    keep: bool
    rows: list[Row] = field(default_factory=list)
    best: Best | None = None

    def add(self, row: Row, model: nn.Module) -> None:
        """Append a row, measured of this model; NaN is no measurement and never the best.

        Raises:
            ValueError: validation measured other things than the metric that decides.
        """
        self.rows.append(row)
        if self.metric is None:
            return
        if self.metric not in row:
            raise ValueError(
                f"metric is {self.metric!r}, but the evaluation gave {', '.join(sorted(row))}"
            )
        value = row[self.metric]
        if math.isnan(value) or (self.best is not None and value <= self.best.value):
            return
        kept = copy.deepcopy(model.state_dict()) if self.keep else None
        self.best = Best(int(row["step"]), value, kept)

    def exhausted(self, patience: int | None) -> bool:
        """Whether so many evaluations have passed without a better one."""
        if patience is None or self.best is None:
            return False
        return sum(row["step"] > self.best.step for row in self.rows) >= patience

    def state_dict(self) -> dict[str, Any]:
        """Rows and best, as plain values and tensors."""
        return {"rows": self.rows, "best": None if self.best is None else vars(self.best)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.rows = list(state["rows"])
        self.best = None if state["best"] is None else Best(**state["best"])
