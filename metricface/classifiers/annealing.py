"""How a margin that is too hard to begin with is phased in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metricface.given import zero_or_above


@dataclass(frozen=True)
class Annealing:
    """``λ = max(minimum, base · (1 + gamma · iteration)^(−power))``.

    The target logit is ``(λ cos θ + ψ(θ)) / (1 + λ)``: plain softmax while λ is large, the margin
    once it is small.

    Args:
        base: λ before the first iteration, 0 or above.
        gamma: how soon it falls, 0 or above.
        power: how steeply, 0 or above.
        minimum: where it stays, 0 or above.

    Raises:
        ValueError: one of them negative or not finite.

    Example:
        >>> Annealing(base=1000, gamma=0.12, power=1, minimum=5).at(100)
        76.92307692307693

    Reference: Liu et al., "Large-Margin Softmax Loss", ICML 2016, section 4.2; the official
    code of both papers for the schedule.
    """

    base: float = 1000.0
    gamma: float = 0.12
    power: float = 1.0
    minimum: float = 5.0

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("base", "gamma", "power", "minimum"):
            zero_or_above(name, getattr(self, name))

    def at(self, iteration: int) -> float:
        """λ at an iteration, the first being 1."""
        return max(self.minimum, self.base * math.pow(1 + self.gamma * iteration, -self.power))
