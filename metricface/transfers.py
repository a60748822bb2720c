"""Between host and device, without waiting for one another.

What is asked of an accelerator is queued, and the host goes on. It has to wait where it looks at a
number of the device, where the length of an answer depends on one, and at a plain copy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Here a copy that is not waited for would read memory that the host may have changed.
_WAITED_FOR = ("mps",)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device. Those of the host are queued for it and must not be changed afterwards.

    Example:
        >>> values = torch.tensor([1, 2])
        >>> sent(values, values.device) is values
        True
    """
    if values.device == device:
        return values
    if values.device.type == "cpu" and device.type == "cuda":
        values = values.pin_memory()  # other memory would be copied while the host waits
    return values.to(device, non_blocking=device.type not in _WAITED_FOR)


class Fetched:
    """Values on their way to the host, which may do something else meanwhile.

    Args:
        values: on any device; those of the host have arrived at once.

    Example:
        >>> fetched = Fetched(torch.tensor([1, 2]))
        >>> fetched.arrived(), fetched.wait()
        (True, tensor([1, 2]))
    """

    def __init__(self, values: Tensor) -> None:
        device = values.device
        self._host, self._event = values, None
        if device.type == "cpu":
            return
        module: Any = getattr(torch, device.type, None)
        if not hasattr(module, "Event") or device.type in _WAITED_FOR:
            self._host = values.cpu()
            return
        self._host = values.to("cpu", non_blocking=True)
        self._event = module.Event()
        self._event.record(module.current_stream(device))

    def arrived(self) -> bool:
        """Whether :meth:`wait` has nothing to wait for."""
        return self._event is None or bool(self._event.query())

    def wait(self) -> Tensor:
        """The values, on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._host
