"""What a person sees of a training while it runs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from metricface.recipes.loop.history import Row


class Watch:
    """A progress bar, and the curves for TensorBoard.

    Args:
        steps: of the whole training.
        step: already taken, and evaluated; None before the first evaluation.
        progress: show the bar.
        tensorboard: the folder for event files; None writes none.
        metric: the number shown beside the loss.

    Raises:
        ImportError: tqdm or TensorBoard is wanted and missing.
    """

    def __init__(
        self,
        *,
        steps: int,
        step: int | None,
        progress: bool,
        tensorboard: str | os.PathLike[str] | None,
        metric: str,
    ) -> None:
        self._metric = metric
        self._bar = _bar(steps, step or 0) if progress else None
        self._events = None if tensorboard is None else Path(tensorboard)
        self._purge = 0 if step is None else step + 1
        self._writer: Any = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._bar, self._writer):
            if each is not None:
                each.close()

    def advance(self) -> None:
        """One more step is done."""
        if self._bar is not None:
            self._bar.update()

    def show(self, row: Row) -> None:
        """An evaluation is done."""
        if self._bar is not None:
            wanted = {name: row.get(name, math.nan) for name in ("loss", self._metric)}
            known = {name: f"{v:.3g}" for name, v in wanted.items() if not math.isnan(v)}
            self._bar.set_postfix(known)
        if self._events is None:
            return
        if self._writer is None:  # not before there is something to write
            self._writer = _writer(self._events, self._purge)
        for name, value in row.items():
            if name != "step" and not math.isnan(value):
                self._writer.add_scalar(name, value, int(row["step"]))
        self._writer.flush()


def _bar(steps: int, step: int) -> Any:
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            "a progress bar needs tqdm: pip install 'metricface[progress]', or progress=False"
        ) from error
    return tqdm(total=steps, initial=step, unit="step", leave=False)


def _writer(folder: Path, purge: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard=True needs TensorBoard: pip install 'metricface[tensorboard]'"
        ) from error
    # What a killed run wrote after its last checkpoint is shown no more.
    return SummaryWriter(folder, purge_step=purge)
