"""Who shares the batches out among processes, the sampler or Accelerate: never both, nor nobody."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from metricface.samplers import PKSampler
from tests.samplers.cases import NAMES, SAMPLERS
from tests.samplers.standins import pretend

TWICE = r"2 processes, and so does this .*Sampler \(rank=1, world_size=2\)"


@pytest.mark.parametrize("dispatch", [False, True])
def test_batches_are_not_shared_out_twice(monkeypatch: Any, dispatch: bool) -> None:
    accelerate = pretend(monkeypatch, num_processes=2, process_index=1)
    sampler = PKSampler(NAMES, 4, 3, rank=1, world_size=2)
    with pytest.raises(ValueError, match=TWICE) as refused:
        list(accelerate.prepare(sampler, dispatch=dispatch))
    assert "leave the loader out of accelerator.prepare()" in str(refused.value)
    assert "rank=0, world_size=1" in str(refused.value)


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
