"""HardIdentitySampler: look-alikes together, with the promises of every sampler."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.samplers import HardIdentitySampler
from tests.oracles import sampling as oracle
from tests.samplers.labels import Case, cases


@st.composite
def hard_cases(draw: st.DrawFn) -> tuple[Case, dict[str, Any]]:
    """A case with at least two identities a batch, neighbours of any kind, and a mix."""
    case = draw(cases().filter(lambda case: case.p >= 2))
    count = len(set(case.labels))
    columns = draw(st.integers(0, count + 1))
    entry = st.integers(-1, count - 1)
    rows = st.lists(entry, min_size=columns, max_size=columns)
    table = draw(st.lists(rows, min_size=count, max_size=count))
    hard = draw(st.integers(2, case.p))
    return case, {
        "neighbours": np.array(table, dtype=np.int64).reshape(count, columns),
        "hard_fraction": hard / case.p,
        "group": draw(st.integers(2, hard)),
        "seed": case.seed,
    }


def parts_of(case: Case, settings: dict[str, Any]) -> list[HardIdentitySampler]:
    """The samplers of all processes."""
    return [
        HardIdentitySampler(
            case.labels, case.p, case.k, **settings, rank=rank, world_size=case.world_size
        )
        for rank in range(case.world_size)
    ]


@settings(deadline=None, max_examples=40)
@given(hard_cases())
def test_every_batch_is_distinct_and_every_identity_an_anchor_by_turns(
    drawn: tuple[Case, dict[str, Any]],
) -> None:
    case, settings_ = drawn
    parts, group = parts_of(case, settings_), settings_["group"]
    anchors = Counter(dict.fromkeys(case.labels, 0))
    for _ in range(3):
        draws = Counter(dict.fromkeys(range(len(case.labels)), 0))
        epochs = [list(part) for part in parts]
        assert {len(epoch) for epoch in epochs} == {len(parts[0])}
        for shares in zip(*epochs, strict=True):
            whole = list(chain(*shares))
            width = case.p * case.world_size
            assert oracle.batch_faults(case.labels, whole, width, case.k) == []
            for share in shares:
                came = oracle.identities_of(case.labels, share, case.k)
                hard = round(settings_["hard_fraction"] * case.p) // group * group
                anchors.update(came[:hard:group])
            draws.update(whole)
            assert oracle.spread(anchors.values()) <= 1
        # the images of an identity stay even through an epoch, however often it was met
        assert oracle.most_uneven(case.labels, draws) <= 1


@settings(deadline=None, max_examples=40)
@given(hard_cases())
def test_a_group_is_its_anchor_with_the_nearest_not_yet_in_the_batch(
    drawn: tuple[Case, dict[str, Any]],
) -> None:
    case, settings_ = drawn
    parts, group, names = parts_of(case, settings_), settings_["group"], sorted(set(case.labels))
    groups = round(settings_["hard_fraction"] * case.p) // group
    for shares in zip(*parts, strict=True):
        rows = [oracle.identities_of(case.labels, share, case.k) for share in shares]
        taken = {row[g * group] for row in rows for g in range(groups)}
        for row in rows:
            for g in range(groups):
                anchor, *alike = row[g * group : (g + 1) * group]
                listed = [names[n] for n in settings_["neighbours"][names.index(anchor)] if n >= 0]
                free = [name for name in dict.fromkeys(listed) if name not in taken]
                expected = free[: group - 1]
                # what the list lacks is filled at random, once every group had its turn
                assert alike[: len(expected)] == expected
                taken.update(expected)


def test_the_default_is_graph_sampling() -> None:
    labels = np.repeat(np.arange(12), 3)
    alike = (np.arange(12)[:, None] + np.arange(1, 5)) % 12
    batches = [labels[batch][::2].tolist() for batch in HardIdentitySampler(labels, 4, 2, alike)]
    assert sorted(batches) == [[(a + step) % 12 for step in range(4)] for a in range(12)]


def test_random_places_are_shared_evenly() -> None:
    labels = np.arange(40)
    sampler = HardIdentitySampler(labels, 8, 1, np.zeros((40, 0), int), hard_fraction=0.25)
    counts = np.zeros(40)
    for _ in range(100):
        np.add.at(counts, np.array(list(sampler)).ravel(), 1)
    # 800 visits each, of which 100 as anchor; the variance of the others is that of a draw
    # of 7 of 39 identities per batch, so their sum of squares follows chi-square with 39 degrees
    # of freedom, below 82 with probability 0.9999
    variance = 3900 * (7 / 39) * (32 / 39) * 40 / 39
    assert counts.sum() == 100 * 40 * 8
    assert ((counts - 800) ** 2).sum() / variance < 82


@settings(deadline=None, max_examples=20)
@given(hard_cases(), st.data())
def test_processes_make_up_the_batch_of_one(
    drawn: tuple[Case, dict[str, Any]], data: st.DataObject
) -> None:
    case, settings_ = drawn
    width = case.p * case.world_size
    group = data.draw(st.sampled_from([g for g in range(2, case.p + 1) if case.p % g == 0]))
    settings_ = {**settings_, "group": group, "hard_fraction": 1.0}
    whole = HardIdentitySampler(case.labels, width, case.k, **settings_)
    parts = parts_of(case, settings_)
    assert [list(chain(*shares)) for shares in zip(*parts, strict=True)] == list(whole)


def test_skipped_identities_are_nobody_s_look_alike() -> None:
    labels = [0, 0, 1, 2, 2, 3, 3]
    alike = torch.tensor([[1, 2], [0, 2], [1, 0], [1, 0]])
    sampler = HardIdentitySampler(labels, 2, 2, alike, short="skip")
    batches = [{labels[index] for index in batch} for batch in sampler]
    assert sorted(map(sorted, batches)) == [[0, 2], [0, 2], [0, 3]]


def test_new_neighbours_count_from_the_next_epoch_and_survive_a_restart() -> None:
    labels = np.repeat(np.arange(6), 2)
    near, far = (np.arange(6)[:, None] + 1) % 6, (np.arange(6)[:, None] + 3) % 6
    sampler = HardIdentitySampler(labels, 2, 1, near)
    running = iter(sampler)
    first = [next(running)]
    sampler.set_neighbours(far)
    state = sampler.state_dict()
    first += list(running)
    assert {abs(labels[a] - labels[b]) for a, b in first} == {1, 5}
    second_state = sampler.state_dict()
    second = list(sampler)
    assert {abs(labels[a] - labels[b]) for a, b in second} == {3}

    other = HardIdentitySampler(labels, 2, 1, np.zeros((6, 1), int))
    other.load_state_dict(state)
    assert list(other) == first[1:]
    other.load_state_dict(second_state)
    assert list(other) == second


def test_neighbours_set_within_an_epoch_survive_a_restart_within_it() -> None:
    labels = np.repeat(np.arange(6), 2)
    near, far = (np.arange(6)[:, None] + 1) % 6, (np.arange(6)[:, None] + 3) % 6
    whole = HardIdentitySampler(labels, 2, 1, near)
    running = iter(whole)
    next(running)
    whole.set_neighbours(far)
    expected = [list(running), list(whole), list(whole)]

    stopped = HardIdentitySampler(labels, 2, 1, near)
    next(iter(stopped))
    stopped.set_neighbours(far)
    state = stopped.state_dict()
    told = HardIdentitySampler(labels, 2, 1, far)
    told.load_state_dict(state)
    again = HardIdentitySampler(labels, 2, 1, far)
    again.load_state_dict(told.state_dict())  # saved before it has gone on
    for resumed in (told, again):
        assert [list(resumed), list(resumed), list(resumed)] == expected


def test_neighbours_set_after_a_restart_count_from_the_next_epoch() -> None:
    labels = np.repeat(np.arange(6), 2)
    near, far = (np.arange(6)[:, None] + 1) % 6, (np.arange(6)[:, None] + 3) % 6
    whole = HardIdentitySampler(labels, 2, 1, near)
    running = iter(whole)
    next(running)
    state = whole.state_dict()
    whole.set_neighbours(far)
    resumed = HardIdentitySampler(labels, 2, 1, near)
    resumed.load_state_dict(state)
    resumed.set_neighbours(far)
    assert [list(resumed), list(resumed)] == [list(running), list(whole)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hard_fraction": 0.0}, r"hard_fraction must be in \(0, 1\], got 0.0"),
        ({"hard_fraction": 0.5}, "got group=1 among the 1 hard identities of p=2"),
        ({"group": 3}, "got group=3 among the 2 hard identities"),
        ({"neighbours": [[1], [0]]}, r"row for each of 3 identities, got \(2, 1\)"),
        ({"neighbours": [1, 0, 0]}, r"row for each of 3 identities, got \(3,\)"),
        ({"neighbours": [[1], [0], [3]]}, r"in \[-1, 3\), got 0 to 3"),
        ({"neighbours": [[1], [0], [-2]]}, r"in \[-1, 3\), got -2 to 1"),
    ],
)
def test_bad_settings_say_what_arrived(arguments: dict[str, Any], message: str) -> None:
    good = {"labels": [0, 1, 2], "p": 2, "k": 1, "neighbours": [[1], [0], [0]]}
    with pytest.raises(ValueError, match=message):
        HardIdentitySampler(**{**good, **arguments})


def test_neighbours_must_be_integers() -> None:
    with pytest.raises(TypeError, match="neighbours must be integers, got float64"):
        HardIdentitySampler([0, 1], 2, 1, [[0.5], [0.0]])
