"""Who shares the batches out among processes, the sampler or Accelerate: never both, nor nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from metricface.samplers import (
    GroupedPKSampler,
    HardIdentitySampler,
    IdentitySampler,
    PKSampler,
)
from tests.samplers.cases import ALIKE, NAMES, SAMPLERS
from tests.samplers.standins import pretend

TWICE = r"2 processes, and so does this .*Sampler \(rank=1, world_size=2\)"


@pytest.mark.parametrize("dispatch", [False, True])
def test_batches_are_not_shared_out_twice(monkeypatch: Any, dispatch: bool) -> None:
    accelerate = pretend(monkeypatch, num_processes=2, process_index=1)
    sampler = PKSampler(NAMES, 4, 3, rank=1, world_size=2)
    with pytest.raises(ValueError, match=TWICE) as refused:
        list(accelerate.prepare(sampler, dispatch=dispatch))
    assert "leave the loader out of accelerator.prepare()" in str(refused.value)
    assert 'give it rank="all"' in str(refused.value)


GROUPS = [int(name[7:]) // 12 for name in NAMES]
WORLD: dict[str, Callable[..., IdentitySampler]] = {
    "identities": lambda p, **own: PKSampler(NAMES, p, 3, **own),
    "images": lambda p, **own: PKSampler(NAMES, p, 3, coverage="images", **own),
    "grouped": lambda p, **own: GroupedPKSampler(NAMES, p, 3, GROUPS, **own),
    "hard": lambda p, **own: HardIdentitySampler(NAMES, p, 3, ALIKE, group=2, **own),
}


@pytest.mark.parametrize("kind", WORLD)
def test_accelerate_hands_out_the_parts_of_all(monkeypatch: Any, kind: str) -> None:
    """Every process gets what a sampler of its own rank draws, epoch after epoch."""
    for rank in range(2):
        accelerate = pretend(monkeypatch, num_processes=2, process_index=rank)
        own, every = (WORLD[kind](4, rank=r, world_size=2) for r in (rank, "all"))
        assert len(every) == 2 * len(own)
        assert own.batch_size == every.batch_size == len(next(iter(own)))
        own.set_epoch(0)
        loader = accelerate.prepare(every)
        for _ in range(2):
            seen = []
            for step, batch in enumerate(every.follow(loader), 1):
                seen.append(batch)
                assert every.state_dict()["batch"] == step
            assert seen == list(own)


def test_the_parts_of_all_are_refused_where_nobody_hands_them_out(monkeypatch: Any) -> None:
    every = PKSampler(NAMES, 4, 3, rank="all", world_size=2)
    with pytest.raises(ValueError, match=r"parts of all 2 processes.*accelerator\.prepare\(\)"):
        next(iter(every))
    accelerate = pretend(monkeypatch, num_processes=3)
    with pytest.raises(ValueError, match="made for 2 processes, but Accelerate has 3"):
        list(accelerate.prepare(every))
    with pytest.raises(ValueError, match="made for 1 processes, but Accelerate has 3"):
        list(accelerate.prepare(PKSampler(NAMES, 4, 3, rank="all")))  # before they met
    with pytest.raises(TypeError, match="rank must be an integer of at least 0, got the string"):
        PKSampler(NAMES, 4, 3, rank="every", world_size=2)  # type: ignore[arg-type]


def test_one_process_may_be_all(monkeypatch: Any) -> None:
    expected = list(PKSampler(NAMES, 4, 3))
    assert list(PKSampler(NAMES, 4, 3, rank="all")) == expected
    assert list(pretend(monkeypatch).prepare(PKSampler(NAMES, 4, 3, rank="all"))) == expected


@pytest.mark.parametrize("loader", ["another's", "skipping"])
def test_a_loader_that_cannot_be_followed(loader: str) -> None:
    class Skipping:
        batch_sampler, skip_batches = PKSampler(NAMES, 4, 3), 1

        def __iter__(self) -> Iterator[list[int]]:
            return iter(self.batch_sampler)

    mine = Skipping.batch_sampler if loader == "skipping" else PKSampler(NAMES, 4, 3)
    says = "skips batches is not followed" if loader == "skipping" else "does not take its batches"
    with pytest.raises(ValueError, match=says):
        next(mine.follow(Skipping()))


def test_processes_that_accelerate_does_not_know_are_refused(monkeypatch: Any) -> None:
    """Under torchrun without a GPU it counts one, and makes no DDP module."""
    accelerate, sampler = pretend(monkeypatch), PKSampler(NAMES, 4, 3)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"2 processes, but Accelerate counts one.*cpu=True"):
        next(iter(sampler))
    accelerate.num_processes = 2
    assert list(sampler)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_accelerate_may_share_out_what_the_sampler_does_not(monkeypatch: Any, kind: str) -> None:
    expected, shares = list(SAMPLERS[kind](7)), []
    for process in range(2):
        accelerate = pretend(monkeypatch, num_processes=2, process_index=process)
        shares.append(list(accelerate.prepare(SAMPLERS[kind](7))))
    assert shares == [expected[0::2], expected[1::2]]


def test_a_loader_that_is_not_prepared_may_be_shared_out_by_the_sampler(monkeypatch: Any) -> None:
    expected = list(PKSampler(NAMES, 4, 3, rank=1, world_size=2))
    accelerate = pretend(monkeypatch, num_processes=2, process_index=1)
    other = iter(accelerate.prepare(PKSampler(NAMES, 4, 3)))
    next(other)  # the prepared loader of another sampler, under way
    assert list(PKSampler(NAMES, 4, 3, rank=1, world_size=2)) == expected


def test_one_process_of_accelerate_shares_nothing_out(monkeypatch: Any) -> None:
    sampler = PKSampler(NAMES, 4, 3, rank=1, world_size=2)
    assert list(pretend(monkeypatch).prepare(sampler)) == list(
        PKSampler(NAMES, 4, 3, rank=1, world_size=2)
    )


def join(patch: pytest.MonkeyPatch) -> None:
    """As if this process had met another one, by now."""
    patch.setattr(torch.distributed, "is_initialized", lambda: True)
    patch.setattr(torch.distributed, "get_world_size", lambda: 2)
    patch.setattr(torch.distributed, "get_rank", lambda: 1)


def test_a_sampler_made_before_the_processes_met_is_refused(monkeypatch: Any) -> None:
    expected = list(PKSampler(NAMES, 4, 3))
    early, told = PKSampler(NAMES, 4, 3), PKSampler(NAMES, 4, 3, rank=0, world_size=1)
    join(monkeypatch)
    with pytest.raises(ValueError, match="all 2 would draw the same batches; make it afterwards"):
        next(iter(early))
    assert list(told) == expected  # every process draws the same, as was asked for
    late = PKSampler(NAMES, 4, 3)
    assert list(late) == list(PKSampler(NAMES, 4, 3, rank=1, world_size=2))


def test_accelerate_may_share_out_a_sampler_made_before_the_processes_met(monkeypatch: Any) -> None:
    expected = list(PKSampler(NAMES, 4, 3))
    early = PKSampler(NAMES, 4, 3)
    join(monkeypatch)
    accelerate = pretend(monkeypatch, num_processes=2, process_index=1)
    assert list(accelerate.prepare(early)) == expected[1::2]
