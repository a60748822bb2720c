"""What every sampler here shares: processes, epochs, and resuming at the exact batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from torch.utils.data import Sampler

from metricface.given import as_count
from metricface.samplers.batches_wanted import check_batches_wanted
from metricface.samplers.identity_index import IdentityIndex, LabelSource, Short
from metricface.samplers.image_decks import ImageDecks
from metricface.samplers.keyed_random import Ints
from metricface.samplers.sharing import (
    Rank,
    accelerate_loader,
    batches_at_once,
    check_shared_once,
    process_of,
)
from metricface.samplers.workers_ahead import BatchesHad, workers_ahead

Batch = TypeVar("Batch")

Plan: TypeAlias = Callable[[int, int], Ints]
"""Batches ``start … stop`` of an epoch as dataset indices ``[stop - start, p * k]``, or for all
ranks ``[stop - start, width * k]``."""

_CHUNK = 1 << 15  # indices computed at a time: enough to vectorise, few enough for the cache


@dataclass
class _Pass:
    """One run over an epoch: which, from where, how far, and whether it came to its end."""

    epoch: int
    first: int
    done: int
    ended: bool = False
    had: BatchesHad | None = None  # where more were asked for than the loop has had


@dataclass
class _Loop:
    """How far a training loop is in the epoch that it follows."""

    epoch: int
    batch: int


class IdentitySampler(Sampler[list[int]], ABC):
    """Batches of ``p`` distinct identities with ``k`` images each, one epoch after another.

    A subclass says how many batches an epoch has and which. Both may depend on the settings and
    the number of the epoch alone: that is what makes every run, process and resumed run agree.

    Without :meth:`set_epoch` every pass takes the next epoch, also after one left early.
    """

    def __init__(
        self,
        labels: LabelSource,
        p: int,
        k: int,
        *,
        short: Short,
        seed: int,
        rank: Rank,
        world_size: int | None,
    ) -> None:
        super().__init__()
        p, k, seed = as_count("p", p), as_count("k", k), as_count("seed", seed, 0)
        if seed >= 1 << 63:
            raise ValueError(f"seed must be in [0, 2**63), got {seed}")
        self.p, self.k, self.seed, self.short = p, k, seed, short
        self._told = rank is not None and world_size is not None  # else asked torch.distributed
        self.rank, self.world_size = process_of(rank, world_size)
        self.for_all = rank == "all"
        self.parts = self.world_size if self.for_all else 1  # of one batch, that are yielded
        self.width = p * self.world_size  # identities in the batch of all processes together
        self._index = IdentityIndex(labels, k, short)
        if len(self._index) < self.width:
            raise ValueError(
                f"a batch needs {self.width} distinct identities (p={p}, world_size="
                f"{self.world_size}), but the labels have {len(self._index)}"
                + (f" with at least k={k} images" if short == "skip" else "")
            )
        self._decks = ImageDecks(self._index.size, k, seed)
        self._pass: _Pass | None = None
        self._loop: _Loop | None = None
        self._start = (0, 0)
        self._chosen = False  # whether the caller has said where the next pass begins

    @abstractmethod
    def batches(self) -> int:
        """Number of batches in a whole epoch, of this process and of every other."""

    def __len__(self) -> int:
        """Number of batches in a whole epoch; with ``rank="all"`` those of all processes."""
        return self.batches() * self.parts

    @abstractmethod
    def _plan(self, epoch: int) -> Plan:
        """The batches of one epoch, for this process."""

    def _dealt(self, identity: Ints, visit: Ints, salt: int = 0) -> Ints:
        """This process's part of some batches, as images; with ``rank="all"`` every part.

        Args:
            identity: those of all processes together, ``[batches, width]``.
            visit: how often each has come before, likewise.
            salt: as in :meth:`ImageDecks.deal`.

        Returns:
            ``[batches, parts * p * k]``.
        """
        mine = slice(self.rank * self.p, (self.rank + self.parts) * self.p)
        whose = identity[:, mine].ravel()
        place = self._decks.deal(whose, visit[:, mine].ravel(), salt)
        return self._index.images(whose, place).reshape(len(identity), -1)

    @property
    def identities(self) -> list[Any]:
        """The labels in the order in which identities are numbered (sorted)."""
        return list(self._index.names.tolist())

    def check_made_for(self, numbers: Ints) -> None:
        """Refuse data to whose labels the batches do not belong, such as those of another order.

        What the identities are called does not count, nor do images that are left out.

        Args:
            numbers: of the identity of each item of the data, from 0, ``[N]``.

        Raises:
            ValueError: two items are of one identity to the sampler and of two in the data, or the
                other way round; there are more items to the sampler than in the data.

        Example:
            >>> import numpy as np
            >>> from metricface.samplers import PKSampler
            >>> PKSampler(["b", "b", "a", "a"], p=2, k=2).check_made_for(np.array([0, 0, 1, 1]))
            >>> PKSampler(["b", "a", "b", "a"], p=2, k=2).check_made_for(np.array([0, 0, 1, 1]))
            Traceback (most recent call last):
            ...
            ValueError: the sampler was made for other labels than the data has: only to the \
sampler items 0 and 2 are of one identity; make it of the data's own labels, in their order
        """
        self._index.check_made_for(numbers)

    @property
    def epoch(self) -> int:
        """Number of the epoch that is under way, or that comes next when none is."""
        return self._position()[0]

    @property
    def sampler(self) -> IdentitySampler:
        """Itself: Lightning tells the number of an epoch to the sampler of a batch sampler."""
        return self

    @property
    def batch_size(self) -> int:
        """Images in every batch, ``p * k``: where Accelerate splits batches, it asks for this.

        There is no ``drop_last``: neither of its values is true of batches that are all whole.
        """
        return self.p * self.k

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the next epoch, or what is left of it after a resume.

        Raises:
            ValueError: a DataLoader was given it as ``sampler=``; Accelerate would share the
                batches out a second time, or the sampler was made before the processes met and
                nobody would.
        """
        check_batches_wanted(self)
        check_shared_once(self, told=self._told)
        if self._pass is not None:
            self._start, self._loop = (self._pass.epoch + 1, 0), None
        # taken at the first batch, not before: a DataLoader may ask for an iterator and not use it
        this = self._pass = _Pass(*self._start, done=self._start[1], had=workers_ahead())
        plan, step = self._plan(this.epoch), max(_CHUNK // (self.p * self.k * self.parts), 1)
        for start in range(this.done, self.batches(), step):
            dealt = plan(start, min(start + step, self.batches()))
            for parts in dealt.reshape(len(dealt), self.parts, self.batch_size).tolist():
                this.done += 1
                self._go_on(this)
                yield from parts
        this.ended = True

    def follow(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """The batches of a loader; how many the loop has had is then known to :meth:`state_dict`.

        A loader that Accelerate has prepared asks for batches ahead of the loop. In the midst of
        ``for batch in sampler.follow(loader)`` the state is that after the present batch, whatever
        the loader has asked for. Accelerate's loader is told the number of the epoch, so that a
        loaded place is kept.

        Args:
            loader: with this as its ``batch_sampler``.

        Raises:
            ValueError: a loader of another sampler, or one that skips batches by itself.

        Example:
            >>> from torch.utils.data import DataLoader
            >>> from metricface.samplers import PKSampler
            >>> sampler = PKSampler([0, 0, 1, 1, 2, 2], p=1, k=2)
            >>> loader = DataLoader(range(6), batch_sampler=sampler)
            >>> [sampler.state_dict()["batch"] for batch in sampler.follow(loader)]
            [1, 2, 3]
        """
        left = self._pass or self._loop  # a process that another draws for has a loop alone
        if left is not None:
            self._pass, self._start = None, (left.epoch + 1, 0)
        loop = self._loop = _Loop(*self._start)
        set_epoch = getattr(loader, "set_epoch", None)
        if callable(set_epoch):  # Accelerate's, which counts the epochs itself
            set_epoch(loop.epoch)
        for batch in loader:
            loop.batch = min(loop.batch + batches_at_once(self, loader), self.batches())
            yield batch
        self._pass, self._start, self._loop = None, (loop.epoch + 1, 0), None

    def reached(self, epoch: int, batch: int) -> None:
        """Say which batch the training loop takes next: :meth:`state_dict` tells that then.

        For a trainer that counts by itself, as Lightning does; a loop of one's own goes by
        :meth:`follow`. It holds until the next epoch is named.

        Args:
            epoch: number of the epoch.
            batch: how many of its batches are done.
        """
        self._loop = _Loop(epoch, batch)

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of ``epoch``, from its first batch.

        Naming the epoch in which a loaded state stands keeps the place, so a loop that calls
        this every epoch resumes where it was.

        Raises:
            ValueError: a negative epoch; Accelerate, which counts the passes of its loader from 0,
                would leave the place that was loaded.
        """
        epoch = as_count("epoch", epoch, 0)
        waits, counted = self._pass is None, accelerate_loader(self) is not None
        if waits and counted and self._chosen and self._start[0] != epoch:
            raise ValueError(
                f"the sampler stands in epoch {self._start[0]}, but Accelerate's loader begins "
                f"with epoch {epoch}; call the loader's set_epoch({self._start[0]}) first"
            )
        self._chosen = not counted
        if not waits or self._start[0] != epoch:
            self._pass, self._start, self._loop = None, (epoch, 0), None

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """Where the sampler stands, and the settings under which that has a meaning.

        Args:
            done: batches of this pass the training loop has finished, for loops that take their
                batches from something that asks ahead of them: a loader prepared by Accelerate,
                a queue of one's own. A ``DataLoader`` knows itself how many it has given, with
                worker processes too, as does torchdata's ``StatefulDataLoader``, and a loop by
                :meth:`follow` is counted: there leave it out. With ``rank="all"`` those of one
                process count, and where Accelerate shares out what one process would draw, those
                of all.

        Raises:
            ValueError: more batches than the pass has; no ``done`` in the midst of a pass of
                Accelerate.
        """
        epoch, batch = self._position()
        if done is None:
            self._check_known()
        else:
            epoch, first = (self._pass.epoch, self._pass.first) if self._pass else (epoch, batch)
            done = as_count("done", done, 0)
            if done > self.batches() - first:
                raise ValueError(f"done must be in [0, {self.batches() - first}], got {done}")
            batch = first + done
        return {"epoch": epoch, "batch": batch, **self._settings()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the batch after the last one of the saved run, on any rank.

        The number of processes may be another where ``p * world_size`` is the same: all of them
        together then go on with the same batches.

        Raises:
            ValueError: the state is incomplete, or of other settings or labels.
        """
        settings = self._settings()
        missing = sorted({"epoch", "batch", *settings} - set(state))
        if missing:
            raise ValueError(f"not a state of {type(self).__name__}: it lacks {', '.join(missing)}")
        other = self._other_batches(state["p"], state["world_size"])
        shared = ("p", "world_size") if other is None else ()
        changed = [
            f"{name}={state[name]!r} instead of {value!r}"
            for name, value in settings.items()
            if name not in shared and state[name] != value
        ]
        if changed:
            why = "" if other is None else f"; {other}"
            raise ValueError(f"the state is of a sampler with {', '.join(changed)}{why}")
        epoch, batch = (as_count(name, state[name], 0) for name in ("epoch", "batch"))
        if batch > self.batches():
            raise ValueError(f"the state is of batch {batch} of an epoch of {self.batches()}")
        self._pass, self._loop = None, None
        self._start = (epoch, batch)
        self._chosen = True

    def _settings(self) -> dict[str, Any]:
        """Everything but the place that decides which batches come."""
        return {
            "sampler": type(self).__name__,
            "p": self.p,
            "k": self.k,
            "world_size": self.world_size,
            "short": self.short,
            "seed": self.seed,
            "labels": self._index.fingerprint(),
        }

    def _other_batches(self, p: int, world_size: int) -> str | None:
        """Why ``p`` on so many processes, all else equal, make other batches; None if not."""
        if p * world_size == self.width:
            return None
        return f"p * world_size must be {p * world_size} again, got {self.width}"

    def _go_on(self, this: _Pass) -> None:
        """Stay in a pass whose epoch was named while workers had some of its batches already."""
        if self._pass is None and self._start == (this.epoch, 0):
            self._pass = this

    def _check_known(self) -> None:
        """Refuse to tell the place while Accelerate is ahead of the loop, one batch or more."""
        if self._pass is None or self._loop is not None:
            return
        loader = accelerate_loader(self)
        # a StatefulDataLoader within asks before every batch, and keeps the answer for later
        if loader is None or loader.end_of_dataloader or loader.use_stateful_dataloader:
            return
        raise ValueError(
            "Accelerate asks for batches ahead of the training loop, so the sampler cannot tell "
            "how many of them are finished: go through the loader by sampler.follow(loader), save "
            "the state between two epochs, or pass done=, the batches that are finished in this one"
        )

    def _position(self) -> tuple[int, int]:
        """Epoch and batch that come next."""
        if self._loop is not None:
            return self._loop.epoch, self._loop.batch
        if self._pass is None:
            return self._start
        this = self._pass
        done = this.done if this.had is None else this.first + int(this.had)
        ended = this.ended and done == this.done
        return (this.epoch + 1, 0) if ended else (this.epoch, done)
