"""A resumed run draws what the uninterrupted one would have drawn, from any batch on."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, cast

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from metricface.samplers import (
    GroupedPKSampler,
    HardIdentitySampler,
    IdentitySampler,
    PKSampler,
)
from tests.samplers.cases import ALIKE, NAMES, SAMPLERS
from tests.samplers.standins import pretend

EPOCHS = 3
GROUPS = [int(name[7:]) // 12 for name in NAMES]
# torchdata calls a function of torch that has since been deprecated
torchdata_warns = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
Batches = list[list[int]]


class Numbers(Dataset[int]):
    """A data set whose items are their own indices."""

    def __len__(self) -> int:
        return len(NAMES)

    def __getitem__(self, index: int) -> int:
        return index


def loader_of(sampler: IdentitySampler, workers: int) -> DataLoader[int]:
    return DataLoader(Numbers(), batch_sampler=sampler, num_workers=workers)


def epochs_of(sampler: IdentitySampler) -> list[Batches]:
    return [list(sampler) for _ in range(EPOCHS)]


@pytest.mark.parametrize("kind", SAMPLERS)
def test_every_batch_of_an_epoch_is_a_place_to_resume(kind: str) -> None:
    expected = epochs_of(SAMPLERS[kind](7))
    for done in range(len(expected[1]) + 1):
        stopped = SAMPLERS[kind](7)
        list(stopped)
        list(islice(stopped, done))
        # what a checkpoint keeps must load without running code of its own
        state = pickle.loads(pickle.dumps(stopped.state_dict()))
        resumed = SAMPLERS[kind](7)
        resumed.load_state_dict(state)
        if done == 0:  # the second pass had not begun
            assert (resumed.epoch, list(resumed)) == (1, expected[1])
        else:
            assert resumed.epoch == 1
            assert list(resumed) == expected[1][done:]
        assert list(resumed) == expected[2]


@pytest.mark.parametrize("kind", SAMPLERS)
def test_states_load_as_weights_only(kind: str, tmp_path: Any) -> None:
    sampler = SAMPLERS[kind](0)
    next(iter(sampler))
    torch.save(sampler.state_dict(), tmp_path / "state.pt")
    resumed = SAMPLERS[kind](0)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert list(resumed) == list(SAMPLERS[kind](0))[1:]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_resumes_where_the_loop_was(workers: int) -> None:
    expected = epochs_of(PKSampler(NAMES, 4, 3))
    sampler = PKSampler(NAMES, 4, 3)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for step, batch in enumerate(loader_of(sampler, workers)):
            assert batch.tolist() == expected[epoch][step]
            if (epoch, step) == (1, 2):
                # the workers have been sent the rest of the epoch by now
                state = sampler.state_dict(done=step + 1)
                break
    # stopped a second time, two batches later: the loop counts from where it began
    resumed = PKSampler(NAMES, 4, 3)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    running = iter(loader_of(resumed, workers))
    assert [next(running).tolist() for _ in range(2)] == expected[1][3:5]
    state = resumed.state_dict(done=1)
    resumed.load_state_dict(state)
    seen = []
    for epoch in range(resumed.epoch, EPOCHS):
        resumed.set_epoch(epoch)  # keeps the place that was loaded
        seen.append([batch.tolist() for batch in loader_of(resumed, workers)])
    assert seen == [expected[1][4:], expected[2]]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loop_that_is_followed_need_not_count(workers: int) -> None:
    """Left at the end of an epoch, in its midst, and at its last batch."""
    expected = epochs_of(PKSampler(NAMES, 4, 3))
    for stop in (2, len(expected[1])):
        sampler = PKSampler(NAMES, 4, 3)
        loader = loader_of(sampler, workers)
        assert [batch.tolist() for batch in sampler.follow(loader)] == expected[0]
        assert (sampler.epoch, sampler.state_dict()["batch"]) == (1, 0)
        seen = [batch.tolist() for batch in islice(sampler.follow(loader), stop)]
        resumed = PKSampler(NAMES, 4, 3)
        resumed.load_state_dict(sampler.state_dict())
        loader = loader_of(resumed, workers)
        assert resumed.epoch == 1
        assert seen + [batch.tolist() for batch in resumed.follow(loader)] == expected[1]
        assert [batch.tolist() for batch in resumed.follow(loader)] == expected[2]
        # an epoch left early is over; so it is where nobody follows the next
        assert next(iter(sampler.follow(loader_of(sampler, 0)))).tolist() == expected[2][0]
        list(sampler)
        assert (sampler.epoch, sampler.state_dict()["batch"]) == (4, 0)


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_what_workers_have_fetched_ahead_is_not_lost(workers: int, persistent: bool) -> None:
    """A plain loop that counts nothing, left at any batch; told within it and after it."""
    expected = epochs_of(PKSampler(NAMES, 4, 3))
    for stop in range(1, len(expected[1]) + 1):
        sampler, data = PKSampler(NAMES, 4, 3), Numbers()
        loader = DataLoader(
            data, batch_sampler=sampler, num_workers=workers, persistent_workers=persistent
        )
        assert [batch.tolist() for batch in loader] == expected[0]
        assert (sampler.epoch, sampler.state_dict()["batch"]) == (1, 0)
        running = iter(loader)
        seen = [next(running).tolist() for _ in range(stop)]
        states = [sampler.state_dict(), copy.deepcopy(sampler).state_dict()]
        freed = [weakref.ref(each) for each in (running, loader, data)]
        del running, loader, data
        gc.collect()
        assert [each() for each in freed] == [None] * 3
        states.append(sampler.state_dict())
        for state in states:
            resumed = PKSampler(NAMES, 4, 3)
            resumed.load_state_dict(state)
            coming = list(chain(*(list(resumed) for _ in range(2))))
            assert [*seen, *coming][: len(expected[1]) + 1] == [*expected[1], expected[2][0]]
        assert list(sampler) == expected[2]


def test_a_resumed_pass_is_stopped_again_where_its_loop_was() -> None:
    expected = list(PKSampler(NAMES, 4, 3))
    state = PKSampler(NAMES, 4, 3).state_dict()
    for place in range(len(expected)):
        sampler = PKSampler(NAMES, 4, 3)
        sampler.load_state_dict(state)
        running = iter(loader_of(sampler, workers=2))
        assert next(running).tolist() == expected[place]
        state = sampler.state_dict()


@torchdata_warns
@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("stop", [0, 2, "all", "after"])
def test_a_stateful_data_loader_resumes(kind: str, stop: int | str) -> None:
    resumes_stateful(kind, stop, workers=0)


@torchdata_warns
@pytest.mark.parametrize(
    ("kind", "stop"), [("identities", 2), ("images", "all"), ("hard", "after")]
)
def test_a_stateful_data_loader_with_workers_resumes(kind: str, stop: int | str) -> None:
    resumes_stateful(kind, stop, workers=2)


def resumes_stateful(kind: str, stop: int | str, workers: int) -> None:
    """Stop the second epoch after some batches, after the last, or after the loop ended."""
    expected = epochs_of(SAMPLERS[kind](3))

    def loader() -> Any:
        return StatefulDataLoader(
            cast("Any", Numbers()), batch_sampler=SAMPLERS[kind](3), num_workers=workers
        )

    def batches(from_: Any) -> Iterator[list[int]]:
        return (batch.tolist() for batch in from_)

    stopped, resumed = loader(), loader()
    assert list(batches(stopped)) == expected[0]
    count = len(expected[1])
    done = {"all": count, "after": count + 1}.get(str(stop), stop)
    running = batches(stopped)
    seen = list(islice(running, int(done)))
    resumed.load_state_dict(stopped.state_dict())
    if stop == "after":
        assert list(batches(resumed)) == expected[2]
        return
    assert seen + list(batches(resumed)) == expected[1]
    assert list(batches(resumed)) == expected[2]


def test_passes_advance_by_themselves_and_set_epoch_goes_anywhere() -> None:
    expected = epochs_of(PKSampler(NAMES, 4, 3))
    assert expected[0] != expected[1]
    sampler = PKSampler(NAMES, 4, 3)
    iter(sampler)  # asked for, never used: no epoch is lost
    assert list(islice(sampler, 2)) == expected[0][:2]
    assert sampler.epoch == 0
    assert list(sampler) == expected[1]  # an epoch left early is over
    assert sampler.epoch == 2
    for epoch in (2, 0, 0, 1):
        sampler.set_epoch(epoch)
        assert list(sampler) == expected[epoch]


def test_naming_the_epoch_under_way_does_not_lose_its_place() -> None:
    """Lightning names the epoch when workers have already been sent some of its batches."""
    expected = epochs_of(PKSampler(NAMES, 4, 3))
    sampler = PKSampler(NAMES, 4, 3)
    running = iter(sampler)
    assert [next(running)] == expected[0][:1]
    sampler.sampler.set_epoch(0)
    assert [next(running)] == expected[0][1:2]
    assert (sampler.epoch, sampler.state_dict()["batch"]) == (0, 2)
    assert sampler.state_dict(done=1)["batch"] == 1
    sampler.set_epoch(0)
    assert list(sampler) == expected[0]  # a new pass begins it anew
    assert list(sampler) == expected[1]


def test_a_state_of_other_settings_is_refused() -> None:
    state = PKSampler(NAMES, 4, 3).state_dict()
    with pytest.raises(ValueError, match="with p=4 instead of 5"):
        PKSampler(NAMES, 5, 3).load_state_dict(state)
    with pytest.raises(ValueError, match="seed=0 instead of 1"):
        PKSampler(NAMES, 4, 3, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="world_size=1 instead of 2"):
        PKSampler(NAMES, 4, 3, rank=0, world_size=2).load_state_dict(state)
    with pytest.raises(ValueError, match="labels="):
        PKSampler(NAMES[::-1], 4, 3).load_state_dict(state)
    with pytest.raises(ValueError, match="coverage='identities' instead of 'images'"):
        PKSampler(NAMES, 4, 3, coverage="images").load_state_dict(state)
    with pytest.raises(ValueError, match="not a state of PKSampler: it lacks batch, coverage"):
        PKSampler(NAMES, 4, 3).load_state_dict({"epoch": 1})
    with pytest.raises(ValueError, match="it lacks neighbours"):
        SAMPLERS["hard"](0).load_state_dict(state)


def test_a_state_of_other_labels_is_refused_where_some_are_skipped() -> None:
    """The images that are kept are then as many of each, but others."""
    state = PKSampler([0, 0, 1, 1, 2, 3, 3, 3], 2, 2, short="skip").state_dict()
    with pytest.raises(ValueError, match="labels="):
        PKSampler([0, 0, 1, 2, 2, 3, 3, 3], 2, 2, short="skip").load_state_dict(state)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"batch": 999}, r"batch 999 of an epoch of 5"),
        ({"batch": -1}, "batch must be at least 0, got -1"),
        ({"epoch": -1}, "epoch must be at least 0, got -1"),
    ],
)
def test_a_state_of_a_place_that_does_not_exist_is_refused(
    place: dict[str, int], message: str
) -> None:
    sampler = PKSampler(NAMES, 4, 3)
    with pytest.raises(ValueError, match=message):
        sampler.load_state_dict(sampler.state_dict() | place)


SHARED: dict[str, Callable[..., IdentitySampler]] = {
    "identities": lambda p, **own: PKSampler(NAMES, p, 3, **own),
    "images": lambda p, **own: PKSampler(NAMES, p, 3, coverage="images", **own),
    "grouped": lambda p, **own: GroupedPKSampler(NAMES, p, 3, GROUPS, **own),
    "hard": lambda p, **own: HardIdentitySampler(NAMES, p, 3, ALIKE, group=2, **own),
}
WORLDS = [(8, 1), (4, 2), (2, 4)]  # p, and how many processes: batches of 8 identities


@pytest.mark.parametrize(("p", "world"), WORLDS)
@pytest.mark.parametrize("kind", SHARED)
def test_another_number_of_processes_goes_on_with_the_same_batches(
    kind: str, p: int, world: int
) -> None:
    """Of as many identities together: in the order of ranks they are the same."""
    make = SHARED[kind]
    whole = make(8)
    expected = [list(whole), list(whole)]
    for old_p, old_world in WORLDS:
        stopped = make(old_p, rank=old_world - 1, world_size=old_world)
        next(iter(stopped))
        parts = [make(p, rank=rank, world_size=world) for rank in range(world)]
        for part in parts:
            part.load_state_dict(stopped.state_dict())
        for batches in (expected[0][1:], expected[1]):
            assert [list(chain(*shares)) for shares in zip(*parts, strict=True)] == batches


def test_look_alikes_in_other_places_are_not_the_same_batches() -> None:
    """Half of each process's part is random: which half of the batch depends on their number."""

    def make(p: int, world: int, **given: Any) -> HardIdentitySampler:
        own = {"rank": 0, "world_size": world, "hard_fraction": 0.5, **given}
        return HardIdentitySampler(NAMES, p, 3, ALIKE, **own)

    says = "p=8 instead of 4, world_size=1 instead of 2; .* every part is made of whole groups"
    with pytest.raises(ValueError, match=says):
        make(4, 2, group=2).load_state_dict(make(8, 1, group=2).state_dict())
    with pytest.raises(ValueError, match="group=8 instead of 4"):
        make(4, 2, hard_fraction=1.0).load_state_dict(make(8, 1, hard_fraction=1.0).state_dict())
    make(4, 2, group=2).load_state_dict(make(4, 2, group=2).state_dict())


def test_places_outside_an_epoch_are_refused() -> None:
    sampler = PKSampler(NAMES, 4, 3)
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        sampler.set_epoch(-1)
    with pytest.raises(ValueError, match=r"done must be in \[0, 5\], got 6"):
        sampler.state_dict(done=6)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_place_is_not_told_while_accelerate_is_ahead_of_the_loop(
    monkeypatch: Any, kind: str
) -> None:
    expected = epochs_of(SAMPLERS[kind](0))
    sampler, accelerate = SAMPLERS[kind](0), pretend(monkeypatch)
    loader = accelerate.prepare(sampler)
    assert sampler.state_dict()["epoch"] == 0  # before it begins
    for step, batch in enumerate(loader, 1):
        assert batch == expected[0][step - 1]
        resumed = SAMPLERS[kind](0)
        resumed.load_state_dict(sampler.state_dict(done=step))
        assert list(resumed) == expected[0][step:]
        if step < len(sampler):
            with pytest.raises(ValueError, match=r"ahead of the training loop.*pass done="):
                sampler.state_dict()
    assert sampler.state_dict()["epoch"] == 1
    assert list(loader) == expected[1]


def test_a_stateful_loader_of_accelerate_is_told_the_place(monkeypatch: Any) -> None:
    sampler = PKSampler(NAMES, 4, 3)
    next(iter(pretend(monkeypatch).prepare(sampler, stateful=True)))
    assert sampler.state_dict()["batch"] == 2  # it is asked before each batch, and counts itself


def test_accelerate_does_not_take_a_loaded_place_away(monkeypatch: Any) -> None:
    expected = epochs_of(PKSampler(NAMES, 4, 3))
    stopped = PKSampler(NAMES, 4, 3)
    stopped.set_epoch(1)
    next(iter(stopped))
    resumed, accelerate = PKSampler(NAMES, 4, 3), pretend(monkeypatch)
    resumed.load_state_dict(stopped.state_dict())
    loader = accelerate.prepare(resumed)
    with pytest.raises(ValueError, match=r"in epoch 1, .* epoch 0; call .*set_epoch\(1\)"):
        list(loader)
    loader.set_epoch(1)
    assert list(loader) == expected[1][1:]
    assert list(loader) == expected[2]
    loader.set_epoch(0)  # anybody else may go anywhere
    assert list(loader) == expected[0]


def test_a_process_that_another_draws_for_is_told_of_every_epoch(monkeypatch: Any) -> None:
    """With ``dispatch_batches`` only the first process goes through its sampler."""
    accelerate = pretend(monkeypatch, num_processes=2, process_index=1)
    idle = PKSampler(NAMES, 4, 3, rank=0, world_size=1)
    idle.load_state_dict({**idle.state_dict(), "epoch": 3, "batch": 2})
    accelerate.dataloader_references.append(accelerate.prepare(idle, dispatch=True))
    for epoch in (3, 4, 5):
        idle.set_epoch(epoch)
        assert idle.epoch == epoch
