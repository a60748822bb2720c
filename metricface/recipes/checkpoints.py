"""One file that holds a training, replaced whole or not at all."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metricface.recipes.settings import changes

NAME = "checkpoint.pt"
_NAMED = 5  # changes that an error lists one by one
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)


class Checkpoints:
    """The checkpoint of a run folder, bound to the settings it was begun with.

    Args:
        folder: made with the first checkpoint.
        settings: plain values, as :func:`~metricface.recipes.settings.described` gives them.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.file = self.folder / NAME
        self._settings = settings

    def load(self) -> dict[str, Any] | None:
        """What was saved last, on the CPU; None in a new folder.

        Raises:
            ValueError: the file cannot be read, or belongs to other settings.
        """
        if not self.file.exists():
            return None
        try:
            saved = torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever the broken bytes lead it to
            raise self._unreadable(_first_line(error)) from error
        if not isinstance(saved, dict) or not {"settings", "training", "history"} <= set(saved):
            raise self._unreadable("it holds something else")
        changed = changes(saved["settings"], self._settings)
        if changed:
            more = [f"{len(changed) - _NAMED} more"] if len(changed) > _NAMED else []
            raise ValueError(
                f"{self.file} is of a training with other settings: "
                f"{'; '.join(changed[:_NAMED] + more)}. Give the old settings or another folder."
            )
        return saved

    def save(self, *, training: dict[str, Any], history: dict[str, Any]) -> None:
        """Replace the checkpoint; a crash meanwhile leaves the old one.

        Raises:
            TypeError: the state holds what could not be loaded again.
        """
        state = {"settings": self._settings, "training": training, "history": history}
        check_plain(state)
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_name(f".{NAME}.partial")
        with temporary.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, self.file)

    def _unreadable(self, why: str) -> ValueError:
        return ValueError(
            f"{self.file} is not a checkpoint that can be read ({why}); move it away to begin anew"
        )


def check_plain(state: object, name: str = "") -> None:
    """Refuse to save what ``torch.load(..., weights_only=True)`` would refuse to load.

    Args:
        state: to be saved.
        name: what it is called.

    Raises:
        TypeError: something that is no tensor, number, string, or dict or list of such.

    Example:
        >>> import numpy as np
        >>> check_plain({"sampler": {"order": np.zeros(2)}})
        Traceback (most recent call last):
        ...
        TypeError: sampler.order is a numpy.ndarray; a state that can be saved holds only tensors, \
plain numbers, strings, and dicts and lists of them
    """
    kind = type(state)
    if isinstance(state, dict) and kind in (dict, OrderedDict):
        for key, value in state.items():
            check_plain(value, f"{name}.{key}" if name else str(key))
    elif isinstance(state, (list, tuple)) and kind in (list, tuple):
        for number, value in enumerate(state):
            check_plain(value, f"{name}[{number}]")
    elif not isinstance(state, Tensor) and kind not in _PLAIN:
        raise TypeError(
            f"{name} is a {kind.__module__}.{kind.__qualname__}; a state that can be saved holds "
            "only tensors, plain numbers, strings, and dicts and lists of them"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
