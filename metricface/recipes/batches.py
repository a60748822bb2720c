"""The stream of augmented batches: what comes depends on the sampler and the seed alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from metricface.distributed import world_size
from metricface.types import labels_of, numbered

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""Changes a batch of inputs at random, with all its randomness from the generator."""


InputsOf: TypeAlias = Callable[[Any], Tensor]
"""Takes the inputs ``[B, …]`` from a collated batch of whole items, such as one of dicts."""


@runtime_checkable
class Labelled(Protocol):
    """A map-style dataset that knows its labels: item ``i`` is an input, or begins with one.

    One identity per item, integers or strings, in ``.labels`` or, as torchvision calls them,
    ``.targets``; a ``torch.utils.data.Subset`` of such a dataset knows them too.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class BatchSampler(Protocol):
    """Lists of indices that say where they stand; every sampler of this library is one."""

    def __iter__(self) -> Iterator[list[int]]: ...

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """The place after ``done`` batches of this pass."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from that place."""
        ...


class Batch(NamedTuple):
    """Inputs ``[B, …]``, the numbers of their identities ``[B]``, and which items they are."""

    inputs: Tensor
    labels: Tensor
    ids: Tensor


class Batches:
    """Draws batches, epoch after epoch, on the device; stops and goes on exactly.

    Identities are numbered 0 to C − 1 in the sorted order of their labels, as classifiers want
    them. Worker processes only fetch; what is random happens here, batch by batch, so that their
    number changes nothing.

    Args:
        data: the training set.
        sampler: lists of its indices.
        augment: applied to each batch of inputs on the device.
        workers: processes that fetch; 0 fetches here.
        seed: of the augmentation.
        device: where batches go.
        inputs_of: takes the inputs from a collated batch of items; None: each item is an input or
            begins with one.
        before_epoch: called with the sampler's epoch before its first batch is drawn; needs a
            sampler whose state has ``epoch`` and ``batch``.

    Raises:
        TypeError: a dataset without labels, a sampler that cannot say where it stands.
        ValueError: another number of labels than of items.
    """

    def __init__(
        self,
        data: Labelled,
        sampler: BatchSampler,
        *,
        augment: Augment | None,
        workers: int,
        seed: int,
        device: torch.device,
        inputs_of: InputsOf | None = None,
        before_epoch: Callable[[int], None] | None = None,
    ) -> None:
        self.labels = torch.from_numpy(identity_numbers(data)).to(device)
        if not all(hasattr(sampler, name) for name in ("state_dict", "load_state_dict")):
            raise TypeError(
                f"{type(sampler).__name__} has no state_dict, so a training with it could not "
                "be resumed; take one of metricface.samplers"
            )
        self.sampler = sampler
        self._loader: Iterable[tuple[Any, Tensor]] = DataLoader(
            WithIndex(data, whole=inputs_of is not None),
            batch_sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=collated,
            pin_memory=device.type == "cuda",
            generator=torch.Generator().manual_seed(seed),  # else it draws from the global one
        )
        self._augment, self._device, self._workers = augment, device, workers
        self._inputs_of = inputs_of
        self._generator = torch.Generator().manual_seed(seed)
        self._before_epoch = before_epoch
        self._pass: Iterator[tuple[Any, Tensor]] | None = None
        self._done = 0

    def draw(self) -> Batch:
        """The next batch."""
        for _ in range(3):  # a pass resumed at its end is empty, and the next one is not
            fetched = None if self._pass is None else next(self._pass, None)
            if fetched is not None:
                break
            self._begin()
        else:
            raise ValueError(f"{type(self.sampler).__name__} yields no batch to train on")
        self._done += 1
        inputs, ids = taken(fetched, self._inputs_of, self._device)
        if self._augment is not None:
            inputs = self._augment(inputs, self._generator)
        return Batch(inputs, self.labels[ids], ids)

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands."""
        place = self.sampler.state_dict(None if self._pass is None else self._done)
        return {"sampler": place, "augment": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.sampler.load_state_dict(state["sampler"])
        self._generator.set_state(state["augment"])
        self._pass, self._done = None, 0

    def settle(self) -> None:
        """Leave the sampler where the training is, not where fetching ahead has brought it."""
        self.load_state_dict(self.state_dict())

    def _begin(self) -> None:
        if self._before_epoch is not None:
            place = self.sampler.state_dict()
            if place["batch"] == 0:
                self._before_epoch(place["epoch"])
        if self._pass is None:
            rest_before_fork(self._workers)
        self._pass, self._done = iter(self._loader), 0


class WithIndex(Dataset[list[tuple[Any, int]]]):
    """The inputs of a dataset with their index, fetched a batch at a time where it can.

    Args:
        data: the dataset.
        whole: take whole items rather than the inputs they begin with.
    """

    def __init__(self, data: Labelled, *, whole: bool = False) -> None:
        self.data, self._whole = data, whole

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, int]]:
        """The items of a batch: what a DataLoader asks for if it can.

        Raises:
            ValueError: an index that is no item's.
        """
        wrong = [index for index in indices if not 0 <= index < len(self)]
        if wrong:
            raise ValueError(
                f"the sampler asks for item {wrong[0]} of {len(self)}: it was made for other labels"
            )
        many = getattr(self.data, "__getitems__", None)
        items = many(indices) if many else [self.data[index] for index in indices]
        if not self._whole:
            items = [item[0] if isinstance(item, (tuple, list)) else item for item in items]
        return list(zip(items, indices, strict=True))


def rest_before_fork(workers: int) -> None:
    """Let the threads of a process group come to rest before worker processes are started.

    Until Python 3.12 a forked process hangs if another thread begins to use Python at that very
    moment, and threads of gloo do just after a message has arrived.

    Args:
        workers: how many are to be started.
    """
    if workers and world_size() > 1 and sys.version_info < (3, 12):
        time.sleep(0.05)


def collated(items: list[tuple[Any, int]]) -> tuple[Any, Tensor]:
    """Inputs ``[B, …]``, or whole items as torch collates them, and indices ``[B]``."""
    inputs, ids = default_collate(items)
    return inputs, ids


def taken(
    fetched: tuple[Any, Tensor], inputs_of: InputsOf | None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Inputs and indices of a fetched batch, on the device.

    Raises:
        TypeError: no tensor, as where items are dicts.
    """
    batch, ids = fetched
    inputs = batch if inputs_of is None else inputs_of(batch)
    if not isinstance(inputs, Tensor):
        keys = f" with {', '.join(map(repr, inputs))}" if isinstance(inputs, dict) else ""
        what = "the items of the data collate to" if inputs_of is None else "batch= gave"
        raise TypeError(
            f"{what} a {type(inputs).__name__}{keys}, but the model takes one tensor: batch= takes "
            "it from a batch of items, such as batch=operator.itemgetter('image')"
        )
    return inputs.to(device, non_blocking=True), ids.to(device, non_blocking=True)


def identity_numbers(data: Labelled) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of each item's identity, 0 to C − 1 in sorted order, ``[N]``.

    Raises:
        TypeError: a dataset without labels.
        ValueError: another number of labels than of items.
    """
    labels = labels_of(data)
    if labels is None or not isinstance(data, Labelled):
        raise TypeError(
            f"the data must have .labels or .targets, and a length, got {type(data).__name__}"
        )
    return numbered(labels, count=len(data), of="items of the data").numbers
