"""One process of a training under Accelerate: which batches it sees. Run by test_accelerate.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState
from accelerate.utils import DataLoaderConfiguration

from metricface.samplers import PKSampler
from tests.samplers.cases import NAMES
from tests.samplers.test_resume import loader_of


def accelerator(**settings: bool) -> Any:
    return Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(**settings))


def left_to_accelerate() -> PKSampler:
    return PKSampler(NAMES, 4, 3, rank=0, world_size=1)


def epochs(loader: Any, count: int = 2) -> list[Any]:
    return [[batch.tolist() for batch in loader] for _ in range(count)]


def not_prepared() -> Any:
    accelerator()
    return epochs(loader_of(PKSampler(NAMES, 4, 3), 0))


def prepared() -> Any:
    return epochs(accelerator().prepare(loader_of(left_to_accelerate(), 0)))


def dealt(**settings: bool) -> Any:
    """The parts of all processes, of which Accelerate hands every process its own."""
    ours = accelerator(**settings)
    loader = ours.prepare(loader_of(PKSampler(NAMES, 4, 3, rank="all"), 0))
    assert all(len(ours.gather_for_metrics(batch)) == 12 * ours.num_processes for batch in loader)
    loader.set_epoch(0)
    return epochs(loader)


def dealt_by_one() -> Any:
    return dealt(dispatch_batches=True)


def saved(workers: int, dispatch: bool, make: Callable[[], PKSampler]) -> Any:
    """Saved by ``save_state`` in the midst of the second epoch, and taken up by ``load_state``."""
    folder = Path(sys.argv[1]).parent / f"{workers} {dispatch} {make.__name__}"

    def begun() -> Any:
        sampler, ours = make(), accelerator(dispatch_batches=dispatch)
        loader = ours.prepare(loader_of(sampler, workers))
        ours.register_for_checkpointing(sampler)
        return ours, sampler, loader

    seen: list[list[Any]] = [[], [], []]
    ours, sampler, loader = begun()
    for epoch in range(2):
        for step, batch in enumerate(sampler.follow(loader), 1):
            seen[epoch].append(batch.tolist())
            if (epoch, step) == (1, 1):
                ours.save_state(folder)
                ours.wait_for_everyone()  # the first process writes
                break
    ours, sampler, loader = begun()
    ours.load_state(folder)
    for epoch in range(sampler.epoch, 3):
        seen[epoch] += [batch.tolist() for batch in sampler.follow(loader)]
    return seen


def every_part() -> PKSampler:
    return PKSampler(NAMES, 4, 3, rank="all")


def saved_by_accelerate() -> Any:
    return saved(0, False, every_part)


def saved_with_workers() -> Any:
    return saved(2, False, every_part)


def saved_where_one_draws() -> Any:
    return saved(0, True, every_part)


def saved_where_batches_are_shared_out() -> Any:
    return saved(0, False, left_to_accelerate)


def dealt_and_split() -> Any:
    """Two ways at once to share a batch out."""
    ours = accelerator(split_batches=True)
    return refusal(lambda: epochs(ours.prepare(loader_of(every_part(), 0))))


def split_in_the_midst() -> Any:
    ours, odd = accelerator(split_batches=True), PKSampler(NAMES, 3, 4, rank=0, world_size=1)
    return refusal(lambda: epochs(ours.prepare(loader_of(odd, 0))))


def counted_as_one() -> Any:
    """Without a GPU and without ``cpu=True`` Accelerate does not see the other process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    Accelerator()
    return refusal(lambda: list(PKSampler(NAMES, 4, 3)))


def dispatched() -> Any:
    ours = accelerator(dispatch_batches=True)
    return epochs(ours.prepare(loader_of(left_to_accelerate(), 0)))


def split() -> Any:
    """The batch of all processes, which Accelerate cuts into those of each."""
    ours = accelerator(split_batches=True)
    whole = PKSampler(NAMES, 4 * ours.num_processes, 3, rank=0, world_size=1)
    return epochs(ours.prepare(loader_of(whole, 0)))


def gathered() -> Any:
    """How many images ``gather_for_metrics`` gathers of each batch."""
    ours = accelerator()
    loader = ours.prepare(loader_of(left_to_accelerate(), 0))
    return [len(ours.gather_for_metrics(batch)) for batch in loader]


def gathered_of_parts() -> Any:
    """The same of batches that are split: 120 images are three of 36, and 12 more."""
    ours, whole = accelerator(split_batches=True), PKSampler(NAMES, 6, 6, rank=0, world_size=1)
    loader = ours.prepare(loader_of(whole, 0))
    return [len(ours.gather_for_metrics(batch)) for batch in loader]


def shared_out_twice() -> Any:
    loader = accelerator().prepare(loader_of(PKSampler(NAMES, 4, 3), 0))
    return refusal(lambda: epochs(loader))


def registered() -> Any:
    """Saved in the midst of an epoch, by Accelerate itself."""
    ours, sampler = accelerator(), left_to_accelerate()
    ours.register_for_checkpointing(sampler)
    for _ in ours.prepare(loader_of(sampler, 0)):
        return refusal(sampler.state_dict)
    return None


def resumed_with_state() -> Any:
    """Stopped after one batch of the second epoch, taken up by a new loader."""
    ours, sampler = accelerator(), left_to_accelerate()
    loader = ours.prepare(loader_of(sampler, 2))
    first = epochs(loader, 1)
    running = iter(loader)
    begun = next(running).tolist()
    state = sampler.state_dict(done=ours.num_processes)
    sampler = left_to_accelerate()
    sampler.load_state_dict(state)
    loader = ours.prepare(loader_of(sampler, 0))
    loader.set_epoch(sampler.epoch)
    return [*first, [begun, *epochs(loader, 1)[0]], *epochs(loader, 1)]


def resumed_by_skipping() -> Any:
    ours = accelerator()
    loader = ours.prepare(loader_of(left_to_accelerate(), 0))
    first, begun = epochs(loader, 1), [b.tolist() for b in islice(loader, 1)]
    loader = ours.prepare(loader_of(left_to_accelerate(), 0))
    loader.set_epoch(1)
    rest = epochs(skip_first_batches(loader, 1), 1)[0]
    loader.set_epoch(2)
    return [*first, begun + rest, *epochs(loader, 1)]


def resumed_with_torchdata() -> Any:
    """Saved and loaded by Accelerate, which has torchdata count."""
    ours = accelerator(use_stateful_dataloader=True)
    loader = ours.prepare(loader_of(left_to_accelerate(), 0))
    first, running = epochs(loader, 1), iter(loader)
    begun, state = next(running).tolist(), loader.state_dict()
    again = ours.prepare(loader_of(left_to_accelerate(), 0))
    again.load_state_dict(state)
    return [*first, [begun, *epochs(again, 1)[0]]]


def lost_place() -> Any:
    """A loaded place that Accelerate's count of passes would leave."""
    sampler = left_to_accelerate()
    sampler.set_epoch(3)
    return refusal(lambda: epochs(accelerator().prepare(loader_of(sampler, 0))))


def refusal(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except ValueError as error:
        return str(error)
    return "nothing was refused"


ONE = [
    prepared,
    dealt,
    saved_by_accelerate,
    saved_with_workers,
    gathered,
    registered,
    resumed_with_state,
    resumed_by_skipping,
    resumed_with_torchdata,
    lost_place,
]
TWO = [
    not_prepared,
    prepared,
    dispatched,
    split,
    gathered,
    gathered_of_parts,
    dealt,
    dealt_by_one,
    saved_by_accelerate,
    saved_with_workers,
    saved_where_one_draws,
    saved_where_batches_are_shared_out,
    dealt_and_split,
    split_in_the_midst,
    shared_out_twice,
    registered,
    resumed_with_state,
    resumed_by_skipping,
    counted_as_one,  # the last: it begins Accelerate anew
]

if __name__ == "__main__":
    trials = TWO if accelerator().num_processes == 2 else ONE
    Path(sys.argv[1]).write_text(json.dumps({trial.__name__: trial() for trial in trials}))
