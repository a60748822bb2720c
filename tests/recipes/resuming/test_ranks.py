"""What each process goes on with, and which settings are those of the same training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from metricface.recipes.resuming import ranks
from metricface.recipes.resuming.described import changes
from metricface.recipes.resuming.random_state import random_state, restore_random_state
from metricface.recipes.resuming.ranks import of_this_rank, on_other_ranks, rank_seed


def on_rank(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(ranks, "rank", lambda: number)


def test_every_rank_and_step_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    for number in range(5):
        on_rank(monkeypatch, number)
        seeds += [rank_seed(7), rank_seed(7, 100), rank_seed(8)]
    assert seeds[:3] == [7, 7, 8]  # rank 0 begins as one process does, and is always saved
    assert len(set(seeds)) == len(seeds) - 1
    assert all(0 <= seed < 1 << 63 for seed in seeds)
    for seed in seeds:
        torch.Generator().manual_seed(seed)


def state(others: int) -> dict[str, Any]:
    """Of a training on so many ranks more than one, told apart by numbers."""
    own = {"step": 9, "batches": {"sampler": {}, "augment": 0}, "random": 0}
    more = [{"augment": n, "random": n} for n in range(1, others + 1)]
    return {**own, "ranks": more} if more else own


@pytest.mark.parametrize(("number", "others"), [(0, 0), (0, 2), (1, 2), (2, 2)])
def test_a_rank_goes_on_with_what_it_was_saved_with(
    monkeypatch: pytest.MonkeyPatch, number: int, others: int
) -> None:
    on_rank(monkeypatch, number)
    own = of_this_rank(state(others), 7)
    assert (own["random"], own["batches"]["augment"]) == (number, number)


def test_a_new_rank_draws_from_seed_step_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    before, drawn = random_state(), []
    for number, seed in [(2, 7), (3, 7), (2, 8), (2, 7)]:
        on_rank(monkeypatch, number)
        own = of_this_rank(state(1), seed)
        restore_random_state(own["random"])
        generator = torch.Generator()
        generator.set_state(own["batches"]["augment"])
        drawn += [(float(torch.rand(1)), float(torch.rand(1, generator=generator)))]
    restore_random_state(before)
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3


def test_what_is_missing_is_left_to_be_named_by_who_loads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_rank(monkeypatch, 1)
    assert of_this_rank({"step": 3}, 7) == {"step": 3}


def settings(p: int, world_size: int, rank: int = 0, **others: Any) -> dict[str, Any]:
    sampler = {"class": "PKSampler", "p": p, "k": 4, "world_size": world_size, "rank": rank}
    return {"sampler": {**sampler, **others}, "steps": 9}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (settings(32, 4), settings(64, 2, 1), []),
        (settings(32, 4), settings(32, 4, 3), []),
        (settings(32, 1), settings(32, 2), ["sampler.world_size was 1, is 2"]),
        (settings(32, 1), settings(16, 1), ["sampler.p was 32, is 16"]),
        (settings(32, 4, k=2), settings(64, 2), ["sampler.k was 2, is 4"]),
        ({"sampler": {"p": 4}}, {"sampler": {"p": 2}}, ["sampler.p was 4, is 2"]),
        ({"sampler": "a function"}, {"sampler": {}}, ["sampler was 'a function', is {}"]),
    ],
)
def test_only_p_and_the_processes_may_change_together(
    old: dict[str, Any], new: dict[str, Any], expected: list[str]
) -> None:
    assert changes(on_other_ranks(old, new), new) == expected
