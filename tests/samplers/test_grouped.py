"""GroupedPKSampler: one super-class a batch, with the promises of every sampler."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.samplers import GroupedPKSampler
from tests.oracles import sampling as oracle

Hierarchy = tuple[list[tuple[str, int]], int, int, int, int]


@st.composite
def hierarchies(draw: st.DrawFn) -> Hierarchy:
    """Images as (group, identity), with p, k, processes and a seed they allow."""
    width = draw(st.integers(1, 5))
    counts = draw(st.lists(st.integers(width, 3 * width + 1), min_size=1, max_size=4))
    identities = [
        (group, i) for group, count in zip("abcd", counts, strict=False) for i in range(count)
    ]
    sizes = draw(st.lists(st.integers(1, 5), min_size=len(identities), max_size=len(identities)))
    images = [who for who, size in zip(identities, sizes, strict=True) for _ in range(size)]
    world_size = draw(st.sampled_from([w for w in (1, 2, 3, 4) if width % w == 0]))
    k, seed = draw(st.integers(1, 4)), draw(st.integers(0, 1000))
    return draw(st.permutations(images)), width // world_size, k, world_size, seed


def sampler_of(drawn: Hierarchy, rank: int = 0, world_size: int = 1) -> GroupedPKSampler:
    images, p, k, processes, seed = drawn
    p = p * processes // world_size
    names = [f"{group}{number}" for group, number in images]
    groups = [group for group, _ in images]
    return GroupedPKSampler(names, p, k, groups, seed=seed, rank=rank, world_size=world_size)


@settings(deadline=None, max_examples=60)
@given(hierarchies())
def test_batches_stay_in_a_group_and_everything_is_even(drawn: Hierarchy) -> None:
    images, k = drawn[0], drawn[2]
    sampler = sampler_of(drawn)
    groups = Counter(group for group, _ in set(images))
    visits, draws, turns = (
        Counter(dict.fromkeys(images, 0)),
        Counter(range(len(images))),
        Counter[str](),
    )
    draws.subtract(range(len(images)))
    for epoch in range(1, 7):
        before = turns.copy()
        batches = list(sampler)
        assert len(batches) == len(sampler) == groups.total() // sampler.p
        for batch in batches:
            assert oracle.batch_faults(images, batch, sampler.p, k) == []
            came = oracle.identities_of(images, batch, k)
            assert len({group for group, _ in came}) == 1
            turns.update([came[0][0]])
            visits.update(came)
            draws.update(batch)
            for group in groups:
                assert oracle.spread(n for who, n in visits.items() if who[0] == group) <= 1
            assert oracle.most_uneven(images, draws) <= 1
        for group, count in groups.items():
            share = Fraction(epoch * len(batches) * count, groups.total())
            assert abs(turns[group] - share) < 1
        grown = [turns[group] - before[group] for group in sorted(groups)]
        assert sampler.batches_per_group(epoch - 1) == grown


@settings(deadline=None, max_examples=30)
@given(hierarchies())
def test_processes_split_the_batch_of_one(drawn: Hierarchy) -> None:
    whole = sampler_of(drawn)
    parts = [sampler_of(drawn, rank, drawn[3]) for rank in range(drawn[3])]
    for _ in range(3):
        assert [list(chain(*shares)) for shares in zip(*parts, strict=True)] == list(whole)


def test_small_groups_are_left_out_when_asked() -> None:
    labels, groups = [0, 1, 2, 3, 4], ["x", "x", "y", "x", "x"]
    sampler = GroupedPKSampler(labels, 2, 1, groups, small="skip")
    assert sorted(chain(*sampler)) == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": [0, 0, 0]}, "5 labels came with 3 groups"),
        ({"groups": ["x", "y", "x", "x", "x"]}, "identity 7 is in two groups: 'x' and 'y'"),
        ({"groups": [0, 0, 0, 0, 1]}, r"1 of 2 groups have fewer than the 2 .*: 1 \(1\)"),
        ({"groups": [0, 0, 1, 2, 3], "small": "skip"}, "4 of 4 groups have fewer"),
        ({"small": "repeat"}, "small must be 'skip' or 'error', got 'repeat'"),
    ],
)
def test_bad_settings_say_what_arrived(arguments: dict[str, Any], message: str) -> None:
    good = {"labels": [7, 7, 8, 9, 10], "p": 2, "k": 1, "groups": [0, 0, 0, 1, 1]}
    with pytest.raises(ValueError, match=message):
        GroupedPKSampler(**{**good, **arguments})
