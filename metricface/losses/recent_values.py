"""The last values of a stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.given import as_count


class RecentValues(nn.Module):
    """A ring of the last ``size`` numbers pushed, kept in ``state_dict``.

    Args:
        size: how many are kept, at least 1.

    Example:
        >>> recent = RecentValues(3)
        >>> recent.push(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        >>> recent.values.sort().values
        tensor([2., 3., 4.])
    """

    ring: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pushed = 0
        self.register_buffer("ring", torch.zeros(as_count("size", size)))

    @property
    def values(self) -> Tensor:
        """What is kept, in no order."""
        return self.ring[: self.pushed]

    def push(self, values: Tensor) -> None:
        """Store numbers over the oldest; of more than fit the last are kept.

        Args:
            values: any number of them, one-dimensional.
        """
        size, count = len(self.ring), len(values)
        kept = min(count, size)
        first = self.pushed + count - kept
        place = torch.arange(first, first + kept, device=self.ring.device) % size
        self.ring[place] = values.detach()[count - kept :].to(self.ring)
        self.pushed += count

    def get_extra_state(self) -> dict[str, int]:
        """How many were pushed, for ``state_dict``."""
        return {"pushed": self.pushed}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on from the number of a ``state_dict``."""
        self.pushed = state["pushed"]
