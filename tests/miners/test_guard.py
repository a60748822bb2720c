"""What is passed over is as if it were not in the batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.distances import Cosine, Euclidean
from metricface.miners import FalseNegativeGuard
from metricface.types import as_pairs
from tests.cases import FIXED_MINERS, RANDOM_MINERS, AnyMiner
from tests.layouts import Batch, batches
from tests.miners.test_contracts import as_sets
from tests.oracles.mining import Layout, Matrix, distance_matrix

Make = Callable[..., AnyMiner]
PLAIN = {name: make for name, make in FIXED_MINERS.items() if make().guard is None}
LOOKING = {name: make for name, make in RANDOM_MINERS.items() if make().needs_distances}

guards = st.fixed_dictionaries(
    {},
    optional={
        "near_duplicate": st.sampled_from([0.2, 0.7]),
        "margin": st.sampled_from([-0.3, 0.1]),
        "relative_margin": st.sampled_from([0.5, 0.95, 1.3]),
    },
).filter(bool)


def passed_over(d: Matrix, layout: Layout, guard: dict[str, float]) -> list[set[int]]:
    """References that each anchor's guard passes over, by a plain loop."""
    answer = []
    for a in range(layout.b):
        least = [guard.get("near_duplicate", -math.inf)]
        if layout.positives[a]:
            nearest = min(d[a, p] for p in layout.positives[a])
            least.append(nearest + guard.get("margin", -math.inf))
            least.append(nearest * guard["relative_margin"] if "relative_margin" in guard else 0)
        answer.append({n for n in layout.negatives[a] if d[a, n] < max(least)})
    return answer


def distances(miner: AnyMiner, batch: Batch) -> Matrix:
    kinds = {Euclidean: "euclidean", Cosine: "cosine"}
    kind = kinds.get(type(miner.distance), "squared")
    return distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), kind)


def mined_without(make: Make, batch: Batch, hidden: list[set[int]]) -> list[set[tuple[int, ...]]]:
    """What is mined where all that is hidden counts as the anchor itself, anchor by anchor."""
    found: list[set[tuple[int, ...]]] = []
    layout, others = batch.layout, batch.ref_labels or batch.labels
    for a, passed in enumerate(hidden):
        seen = set(layout.positives[a]) | (set(layout.negatives[a]) - passed)
        ref_ids = [j if j in seen else -1 for j in range(len(batch.reference))]
        one: dict[str, Any] = {"ids": torch.tensor([-1]), "ref_ids": torch.tensor(ref_ids)}
        x, label = batch.embeddings[a : a + 1], torch.tensor(batch.labels[a : a + 1])
        parts = as_sets(make()(x, label, batch.reference, torch.tensor(others), **one))
        found = found or [set() for _ in parts]
        for whole, part in zip(found, parts, strict=True):
            whole.update((a, *rest) for _, *rest in part)
    return found


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
@given(batch=batches(max_size=8), guard=guards)
@settings(deadline=None, max_examples=15)
def test_mined_is_what_is_mined_without_them(
    make: Make, batch: Batch, guard: dict[str, float]
) -> None:
    if not len(batch.reference):
        return
    hidden = passed_over(distances(make(), batch), batch.layout, guard)
    mined = make(guard=FalseNegativeGuard(**guard))(*batch.arguments, **batch.keywords)
    assert (as_sets(mined) if batch.labels else []) == mined_without(make, batch, hidden)


@pytest.mark.parametrize("make", LOOKING.values(), ids=LOOKING)
@given(batch=batches(max_size=8), guard=guards)
@settings(deadline=None, max_examples=15)
def test_no_draw_is_of_them(make: Make, batch: Batch, guard: dict[str, float]) -> None:
    hidden = passed_over(distances(make(), batch), batch.layout, guard)
    mined = make(guard=FalseNegativeGuard(**guard))(*batch.arguments, **batch.keywords)
    pairs = as_pairs(mined)
    for a, n in zip(pairs.anchor_neg.tolist(), pairs.negative.tolist(), strict=True):
        assert n in set(batch.layout.negatives[a]) - hidden[a]


def test_where_the_uniform_draw_stands_in_it_reaches_every_negative_left() -> None:
    """All lie beyond the cutoff; the guard leaves three of five."""
    make = LOOKING["distance-weighted, or else uniform"]
    angles = torch.tensor([0.0, 0.9, 0.5, 0.6, 1.2, 1.3, 1.4])
    rows = torch.stack([angles.cos(), angles.sin()], 1)
    ref_labels = torch.tensor([0, 0, 1, 2, 3, 4, 5])
    ids, ref_ids = torch.full((200,), -1), torch.tensor([-1, 1, 2, 3, 4, 5, 6])
    mined = make(seed=0, guard=FalseNegativeGuard(margin=0.0))(
        rows[:1].expand(200, 2),
        torch.zeros(200, dtype=torch.int64),
        rows,
        ref_labels,
        ids=ids,
        ref_ids=ref_ids,
    )
    assert set(as_pairs(mined).negative.tolist()) == {4, 5, 6}


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "got none"),
        ({"near_duplicate": -0.1}, "near_duplicate"),
        ({"margin": math.nan}, "margin"),
        ({"relative_margin": 0.0}, "relative_margin"),
    ],
)
def test_bounds_that_are_none(bounds: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FalseNegativeGuard(**bounds)


def test_a_number_is_no_guard() -> None:
    """As the argument of the offline search would be."""
    with pytest.raises(TypeError, match=r"FalseNegativeGuard\(relative_margin=0.9\)"):
        FIXED_MINERS["batch-hard"](guard=0.9)
