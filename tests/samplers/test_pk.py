"""PKSampler keeps every promise for any labels, p, k and number of processes."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.samplers import PKSampler
from metricface.samplers.pk import Coverage
from tests.oracles import sampling as oracle
from tests.samplers.labels import Case, cases

COVERAGES: tuple[Coverage, ...] = ("identities", "images")


def one_process(case: Case, coverage: Coverage = "identities") -> PKSampler:
    """The sampler whose batches are those of all processes of a case together."""
    width = case.p * case.world_size
    return PKSampler(case.labels, width, case.k, coverage=coverage, seed=case.seed)


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from(COVERAGES))
def test_every_batch_is_p_distinct_identities_with_k_images(case: Case, coverage: Coverage) -> None:
    sampler = one_process(case, coverage)
    for _ in range(3):
        batches = list(sampler)
        assert len(batches) == len(sampler)
        for batch in batches:
            assert oracle.batch_faults(case.labels, batch, sampler.p, case.k) == []


@settings(deadline=None, max_examples=60)
@given(cases())
def test_no_identity_or_image_comes_again_before_every_other_came_as_often(case: Case) -> None:
    sampler = one_process(case)
    visits = Counter(dict.fromkeys(case.labels, 0))
    draws = Counter(dict.fromkeys(range(len(case.labels)), 0))
    for _ in range(8):
        for batch in sampler:
            visits.update(oracle.identities_of(case.labels, batch, case.k))
            draws.update(batch)
            assert oracle.spread(visits.values()) <= 1
            assert oracle.most_uneven(case.labels, draws) <= 1


@settings(deadline=None, max_examples=60)
@given(cases())
def test_an_epoch_visits_each_identity_once_and_those_left_out_come_first(case: Case) -> None:
    sampler = one_process(case)
    everybody = set(case.labels)
    missed: set[Any] = set()
    for _ in range(8):
        batches = [oracle.identities_of(case.labels, batch, case.k) for batch in sampler]
        came = [label for batch in batches for label in batch]
        assert len(came) == len(set(came))
        assert missed <= set(batches[0])
        missed = everybody - set(came)
        assert len(missed) == len(everybody) % sampler.p


@settings(deadline=None, max_examples=60)
@given(cases())
def test_an_epoch_of_images_meets_all_in_the_fewest_batches_as_evenly_as_can_be(case: Case) -> None:
    sampler = one_process(case, "images")
    sizes = Counter(case.labels)
    assert len(sampler) == oracle.fewest_batches(list(sizes.values()), case.k, sampler.p)
    for epoch in range(2):
        report = sampler.report(epoch)
        draws = Counter(dict.fromkeys(range(len(case.labels)), 0))
        for batch in sampler:
            draws.update(batch)
        assert min(draws.values()) >= 1
        assert oracle.most_uneven(case.labels, draws) <= 1
        of_label = Counter(case.labels[index] for index in draws.elements())
        visits = [of_label[label] // case.k for label in sizes]
        assert oracle.better_moves(list(sizes.values()), visits, case.k, len(sampler)) == []
        assert (report.batches, report.draws) == (len(sampler), draws.total())
        assert (report.met, report.images) == (len(draws), len(case.labels))
        assert (report.repeats, report.most) == (draws.total() - len(draws), max(draws.values()))


@settings(deadline=None, max_examples=40)
@given(cases(), st.sampled_from(COVERAGES))
def test_processes_split_the_batch_of_one(case: Case, coverage: Coverage) -> None:
    whole = one_process(case, coverage)
    parts = [
        PKSampler(
            case.labels,
            case.p,
            case.k,
            coverage=coverage,
            seed=case.seed,
            rank=rank,
            world_size=case.world_size,
        )
        for rank in range(case.world_size)
    ]
    for _ in range(3):
        together = [list(chain(*batches)) for batches in zip(*parts, strict=True)]
        assert together == list(whole)


@settings(deadline=None, max_examples=40)
@given(cases(), st.sampled_from(COVERAGES), st.integers(0, 400))
def test_any_epoch_is_computed_without_the_earlier_ones(
    case: Case, coverage: Coverage, epoch: int
) -> None:
    near, far = one_process(case, coverage), one_process(case, coverage)
    for earlier in (epoch + 1, max(epoch - 1, 0)):
        near.set_epoch(earlier)
        list(near)
    near.set_epoch(epoch)
    far.set_epoch(epoch)
    assert list(near) == list(far)


@settings(deadline=None, max_examples=40)
@given(cases(processes=1), st.sampled_from(COVERAGES))
def test_skip_leaves_out_exactly_the_short_identities(case: Case, coverage: Coverage) -> None:
    enough = [label for label, size in Counter(case.labels).items() if size >= case.k]
    p = max(len(enough) // 2, 1)
    if not enough:
        with pytest.raises(ValueError, match="the labels have 0 with at least"):
            PKSampler(case.labels, p, case.k, short="skip")
        return
    sampler = PKSampler(case.labels, p, case.k, coverage=coverage, short="skip")
    met = {index for _ in range(len(enough)) for batch in sampler for index in batch}
    assert {case.labels[index] for index in met} == set(enough)
    assert all(oracle.batch_faults(case.labels, batch, p, case.k) == [] for batch in sampler)
    skipped = sum(label not in enough for label in case.labels)
    assert sampler.report().skipped == skipped


def test_report_of_identities_counts_what_an_epoch_draws() -> None:
    labels = [0] * 3 + [1] * 10 + [2] * 4 + [3]
    sampler = PKSampler(labels, p=3, k=4)
    for epoch in range(4):
        report = sampler.report(epoch)
        draws = Counter(index for batch in sampler for index in batch)
        assert (report.draws, report.met) == (draws.total(), len(draws))
        assert (report.most, report.repeats) == (max(draws.values()), draws.total() - len(draws))


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(["a", "b", "a", "c", "b", "c"], id="strings"),
        pytest.param(("7", "8", "7", "9", "8", "9"), id="tuple"),
        pytest.param(np.array([3, 5, 3, 9, 5, 9], dtype=np.uint8), id="numpy"),
        pytest.param(torch.tensor([-3, 5, -3, 9, 5, 9]), id="tensor"),
        pytest.param(
            pd.Series(["a", "b", "a", "c", "b", "c"], index=[5, 4, 3, 2, 1, 0]), id="series"
        ),
        pytest.param([2**70, 2**70 + 1, 2**70, 2**70 + 2, 2**70 + 1, 2**70 + 2], id="big"),
    ],
)
def test_labels_of_any_kind_give_the_batches_of_their_order(labels: Any) -> None:
    expected = list(PKSampler([0, 1, 0, 2, 1, 2], p=2, k=2, seed=5))
    assert list(PKSampler(labels, p=2, k=2, seed=5)) == expected


@pytest.mark.parametrize("coverage", COVERAGES)
def test_large_decks_walk_over_the_values_beyond_them(coverage: Coverage) -> None:
    labels = [0] * 300 + [1] * 65 + [2] * 129 + [3] * 64
    sampler = PKSampler(labels, p=2, k=6, coverage=coverage)
    draws = Counter(dict.fromkeys(range(len(labels)), 0))
    for _ in range(60 if coverage == "identities" else 1):
        for batch in sampler:
            assert oracle.batch_faults(labels, batch, 2, 6) == []
            draws.update(batch)
        assert oracle.most_uneven(labels, draws) <= 1


LABELS = [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 0}, "p must be at least 1, got 0"),
        ({"k": -1}, "k must be at least 1, got -1"),
        ({"p": 4}, r"needs 4 distinct identities .*but the labels have 3$"),
        ({"rank": 0, "world_size": 2}, r"needs 4 distinct identities \(p=2, world_size=2\)"),
        ({"p": 3, "short": "skip"}, "but the labels have 2 with at least k=2 images"),
        ({"short": "error"}, r"1 identities have fewer than k=2 images: 2 \(1\);"),
        ({"labels": list("abcdefg"), "short": "error"}, r"7 .*'a' \(1\), .*'e' \(1\) and 2 more"),
        ({"labels": []}, "labels are empty"),
        ({"labels": np.zeros((2, 2), int)}, "one-dimensional"),
        ({"short": "drop"}, "short must be 'repeat', 'skip' or 'error', got 'drop'"),
        ({"coverage": "all"}, "coverage must be 'identities' or 'images', got 'all'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": 2**63}, r"seed must be in \[0, 2\*\*63\), got 9223372036854775808"),
        ({"rank": 1}, "both rank and world_size or none"),
        ({"rank": 2, "world_size": 2, "p": 1}, "got 2 of 2"),
    ],
)
def test_bad_settings_say_what_arrived(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PKSampler(**{"labels": LABELS, "p": 2, "k": 2, **arguments})


@pytest.mark.parametrize(
    "arguments", [{"labels": [0.0, float("nan")]}, {"labels": [1, "a"]}, {"p": 1.5}, {"k": "2"}]
)
def test_wrong_types_are_type_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        PKSampler(**{"labels": LABELS, "p": 2, "k": 2, **arguments})
