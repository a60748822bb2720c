"""One set that every rank holds, walked by all of them together, each its share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from zlib import crc32

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from metricface.distributed.facts import told
from metricface.distributed.rows import gather_rows, total
from metricface.distributed.world import rank, world_size

_SHOWN = 80  # characters of a setting that are shown in an error


class Together:
    """The ranks that walk one set together; alone, unless all ranks ask for it.

    Every rank enters it, meets the others in the same order, and leaves with the same answer.
    What fails on one rank in between is raised on all of them, at the latest when they next meet.

    Args:
        across_ranks: whether all ranks of the process group are in it, or this one alone.

    Raises:
        ValueError: on every rank, if any of them leaves with an error.
        RuntimeError: a rank has died, at the latest after the process group's timeout.

    Example:
        >>> with Together(across_ranks=True) as together:  # one process
        ...     together.agree({"seed": 0})
        ...     own = torch.arange(5)[together.stretch(5)]
        ...     together.cat(own), together.sum(own.sum())
        (tensor([0, 1, 2, 3, 4]), tensor(10))
    """

    def __init__(self, across_ranks: bool) -> None:  # noqa: FBT001  (named where it is given)
        self.rank, self.count = (rank(), world_size()) if across_ranks else (0, 1)
        self._failed = False

    def __enter__(self) -> Together:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Tell the others of an error, or hear of theirs."""
        # What went wrong while they met is known to all; what ends the process is not waited for.
        if self.count == 1 or self._failed or not isinstance(error, Exception | None):
            return
        # As many numbers as where they meet, which is where the others are.
        told(torch.tensor([int(error is not None), 0]), f"{type(error).__name__}: {error}")

    def stretch(self, count: int, step: int = 1) -> slice:
        """This rank's part of so many rows, which begins at a whole number of steps.

        Args:
            count: of all rows.
            step: rows that stay together.
        """
        steps = -(-count // step)
        first, last = (steps * place // self.count for place in (self.rank, self.rank + 1))
        return slice(first * step, min(last * step, count))

    def turns(self, number: int) -> slice:
        """This rank's part of a list: every so many-th of it.

        Args:
            number: of the list, so that not all begin with the same rank.
        """
        return slice((self.rank - number) % self.count, None, self.count)

    def agree(self, held: Mapping[str, object]) -> None:
        """What has to be the same on all ranks.

        Args:
            held: by the name in an error; of arrays and tensors a checksum travels.

        Raises:
            ValueError: on every rank, if it is not.
        """
        if self.count == 1:
            return
        every = self.each({name: _told(value) for name, value in held.items()})
        for place, others in enumerate(every):
            for name in {**every[0], **others}:
                theirs, first = others.get(name), every[0].get(name)
                if theirs != first:
                    self._failed = True  # and all know
                    raise ValueError(
                        f"across ranks all have to give the same, but rank {place} of "
                        f"{self.count} has {name} {theirs} and rank 0 has {first}"
                    )

    def each(self, own: Any) -> list[Any]:
        """Any small object of each rank, in rank order."""
        every = [own] * self.count
        if self.count > 1:
            with self._meeting():
                dist.all_gather_object(every, own)
        return every

    def sum(self, own: Tensor) -> Tensor:
        """The sum over the ranks."""
        if self.count == 1:
            return own
        with self._meeting():
            return total(own).to(own.device)

    def cat(self, own: Tensor) -> Tensor:
        """The rows of all ranks, in rank order; ranks may have different numbers of them.

        Args:
            own: ``[n]`` or ``[n, …]``.

        Returns:
            ``[N]`` or ``[N, …]``.
        """
        if self.count == 1:
            return own
        with self._meeting(len(own)) as counts:
            table = own.flatten(1) if own.ndim > 1 else own[:, None]
            every = gather_rows(table, counts).to(own.device)
        return every.view(sum(counts), *own.shape[1:])

    @contextmanager
    def _meeting(self, number: int = 0) -> Iterator[list[int]]:
        """All are here, with a number of each; whoever has failed has told of it first."""
        self._failed = True
        yield told(torch.tensor([0, number]))[:, 1].tolist()
        self._failed = False


#: Whoever does not share its work.
ALONE = Together(across_ranks=False)


def _told(value: object) -> str:
    """What an error says of a value, another for every other value."""
    if isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        data = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
        return f"{list(array.shape)} of checksum {crc32(data):08x}"
    said = value if isinstance(value, str) else repr(value)
    return said if len(said) <= _SHOWN else f"of checksum {crc32(said.encode()):08x}"
