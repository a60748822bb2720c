"""One file that holds a training, replaced whole or not at all."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from metricface.distributed.alike import every, everywhere, on_rank_0
from metricface.files import clear_leftovers, used_alone, write_whole
from metricface.recipes.resuming.described import changes
from metricface.recipes.resuming.ranks import on_other_ranks
from metricface.recipes.resuming.sealed import load_sealed, save_sealed
from metricface.recipes.resuming.state_parts import load_part

NAME = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
_NAMED = 5  # changes that an error lists one by one
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)


class Loads(Protocol):
    """Whatever goes on from a state."""

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Go on from it."""
        ...


class Checkpoints:
    """The checkpoint of a run folder, bound to the settings it was begun with.

    The one before it is kept as ``checkpoint.previous.pt``. A training goes on from that one only
    where the newer one is missing: a broken one is refused, for a person to look at.

    Args:
        folder: made once it is used.
        settings: plain values; those of another training are refused.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.file, self.previous = self.folder / NAME, self.folder / PREVIOUS
        self._settings = settings

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other trainings out of the folder, and clear away what killed ones left half done.

        Rank 0 does so for all ranks.

        Raises:
            BlockingIOError: another training uses the folder.
        """
        with ExitStack() as held:
            on_rank_0(lambda: self._lock(held))
            yield

    @property
    def newest(self) -> Path:
        """The file to go on from; in a new folder it does not exist."""
        gone = not self.file.exists() and self.previous.exists()
        return self.previous if gone else self.file

    def restore(self, training: Loads, history: Loads) -> bool:
        """Go on from what was saved last; False in a new folder, where there is nothing.

        Every rank reads the file.

        Raises:
            ValueError: the file is not as it was written, belongs to other settings, or has a
                part that does not fit; ranks that find different files.
        """
        resumed = everywhere(lambda: self._restored(training, history))
        found = every(resumed)
        if len(set(found)) > 1:
            raise ValueError(
                f"rank 0 finds {'a' if found[0] else 'no'} checkpoint in {self.folder} and rank "
                f"{found.index(not found[0])} does not agree: give a folder that all ranks see"
            )
        return resumed

    def save(self, *, training: dict[str, Any], history: dict[str, Any]) -> None:
        """Replace the checkpoint and keep the one before; a crash meanwhile leaves the old one.

        Rank 0 writes, and the others wait.

        Raises:
            TypeError: the state holds what could not be loaded again.
            OSError: the disk is full; the old one is left.
        """
        on_rank_0(lambda: self._save(training=training, history=history))

    def _lock(self, held: ExitStack) -> None:
        if held.enter_context(used_alone(self.folder)):
            clear_leftovers(self.folder, (NAME, PREVIOUS))

    def _restored(self, training: Loads, history: Loads) -> bool:
        file = self.newest
        if not file.exists():
            return False
        try:
            saved = load_sealed(file)
            for name in ("settings", "training", "history"):
                load_part(saved, name, _check_dict)
        except Exception as error:  # damaged bytes may raise anything in torch
            raise self._unreadable(error) from error
        self._check_settings(saved["settings"], file)
        try:
            training.load_state_dict(saved["training"])
            load_part(saved, "history", history.load_state_dict)
        except ValueError as error:
            raise ValueError(
                f"{file} is of a training that this one cannot go on from ({error}). Give what "
                "it was begun with or another folder."
            ) from error
        return True

    def _save(self, *, training: dict[str, Any], history: dict[str, Any]) -> None:
        state = {"settings": self._settings, "training": training, "history": history}
        check_plain(state)
        try:
            write_whole(self.file, lambda part: save_sealed(state, part), kept_as=self.previous)
        except OSError as error:
            raise OSError(
                f"{self.file} could not be written ({error.strerror or error}); "
                "what was there before is as it was"
            ) from error

    def _check_settings(self, old: dict[str, Any], file: Path) -> None:
        changed = changes(on_other_ranks(old, self._settings), self._settings)
        if changed:
            more = [f"{len(changed) - _NAMED} more"] if len(changed) > _NAMED else []
            raise ValueError(
                f"{file} is of a training with other settings: "
                f"{'; '.join(changed[:_NAMED] + more)}. Give the old settings or another folder."
            )

    def _unreadable(self, error: Exception) -> ValueError:
        """The refusal of the newest file, which says what to do."""
        why = (str(error).splitlines() or [type(error).__name__])[0]
        file, to = self.newest, "begin anew"
        if file == self.file and self.previous.exists():
            to = f"go on from {PREVIOUS}, one evaluation earlier"
        return ValueError(
            f"{file} is not a checkpoint that can be read ({why}); move it away to {to}"
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


def _check_dict(state: object) -> None:
    if not isinstance(state, dict):
        raise TypeError(f"it is a {type(state).__name__}, not a dict")
