from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.identities import MatchBlock, Matches
from tests.layouts import Batch, batches


def positives_of(block: MatchBlock) -> list[list[int]]:
    out: list[list[int]] = [[] for _ in range(block.shape[0])]
    for a, p in zip(block.anchor.tolist(), block.positive.tolist(), strict=True):
        out[a].append(p)
    return out


def negatives_of(block: MatchBlock) -> list[list[int]]:
    open_entries = block.hide_(torch.zeros(block.shape), 1.0) == 0
    return [row.nonzero().flatten().tolist() for row in open_entries]


def of(batch: Batch) -> Matches:
    return Matches.of(*batch.arguments, **batch.keywords)  # type: ignore[arg-type]


@given(batches())
@settings(deadline=None, max_examples=150)
def test_agrees_with_looking_at_every_pair(batch: Batch) -> None:
    block = of(batch).block()
    assert positives_of(block) == batch.layout.positives
    assert negatives_of(block) == batch.layout.negatives
    assert block.positive_count().tolist() == [len(p) for p in batch.layout.positives]
    assert block.negative_count().tolist() == [len(n) for n in batch.layout.negatives]


@given(batches())
@settings(deadline=None, max_examples=60)
def test_a_matrix_says_the_same_as_the_labels_it_was_made_from(batch: Batch) -> None:
    others = batch.labels if batch.ref_labels is None else batch.ref_labels
    rows = [[a == b for b in others] for a in batch.labels]
    matrix = torch.tensor(rows, dtype=torch.bool).reshape(len(batch.labels), len(others))
    by_labels = of(batch).block()
    by_matrix = Matches.of(batch.embeddings, matrix, batch.ref_emb, **batch.keywords).block()
    assert positives_of(by_matrix) == positives_of(by_labels)
    assert negatives_of(by_matrix) == negatives_of(by_labels)


@given(batches(), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_blocks_are_slices_of_the_whole(batch: Batch, step: int) -> None:
    matches = of(batch)
    positives, negatives = [], []
    for start in range(0, matches.shape[0], step):
        block = matches.block(start, start + step)
        assert block.start == start
        positives += positives_of(block)
        negatives += negatives_of(block)
    assert positives == batch.layout.positives
    assert negatives == batch.layout.negatives


@given(batches())
@settings(deadline=None, max_examples=80)
def test_nth_negative_counts_through_the_negatives(batch: Batch) -> None:
    block = of(batch).block()
    for a, negatives in enumerate(batch.layout.negatives):
        n = torch.arange(len(negatives))
        assert block.nth_negative(torch.full_like(n, a), n).tolist() == negatives


def test_a_sample_of_two_identities_is_neither_positive_nor_negative_of_itself() -> None:
    block = Matches([0, 1, 2], ids=[5, 5, 6]).block()
    assert negatives_of(block) == [[2], [2], [0, 1]]
    matrix = torch.zeros(2, 2, dtype=torch.bool)
    assert negatives_of(Matches(matrix, itself=True).block()) == [[1], [0]]
    assert negatives_of(Matches(matrix).block()) == [[0, 1], [0, 1]]


def test_without_ids_a_cloned_reference_is_left_in() -> None:
    block = Matches([0, 1], [0, 1]).block()
    assert positives_of(block) == [[0], [1]]


BIG = 2**53


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([BIG, BIG + 1, BIG]),
        np.array([BIG, BIG + 1, BIG]),
        np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], dtype=np.uint64),
        torch.tensor([2**63, 2**63 + 1, 2**63], dtype=torch.uint64),
        [2**70, 2**70 + 1, 2**70],
        ["anna", "ben", "anna"],
        pd.Series(["anna", "ben", "anna"], index=[5, 6, 7]),
        torch.tensor([True, False, True]),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_compare_exactly_in_any_form(labels: Any) -> None:
    assert positives_of(Matches(labels).block()) == [[2], [], [0]]
    assert positives_of(Matches(labels, labels).block()) == [[0, 2], [1], [0, 2]]


def test_signed_and_unsigned_labels_compare_by_value() -> None:
    signed = torch.tensor([-1, 7])
    unsigned = torch.tensor([2**64 - 1, 7], dtype=torch.uint64)
    assert positives_of(Matches(signed, unsigned).block()) == [[], [1]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.uint32])
def test_labels_of_different_integer_types_compare_by_value(dtype: torch.dtype) -> None:
    refs = torch.tensor([3, 200], dtype=dtype)
    assert positives_of(Matches(torch.tensor([200, 3]), refs).block()) == [[1], [0]]


X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "says"),
    [
        ((X, [0, 1]), {}, ValueError, "3 embeddings came with 2 labels"),
        ((X, [0, 1, 1], X, [0]), {}, ValueError, "3 ref_emb came with 1 ref_labels"),
        ((X, [0, 1, 1], X), {}, ValueError, "ref_emb needs ref_labels"),
        ((X, [0, 1, 1], None, [0]), {}, ValueError, "need ref_emb"),
        ((X, torch.ones(3, 4, dtype=torch.bool)), {}, ValueError, r"square, got \(3, 4\)"),
        ((X, torch.ones(3, 4).bool(), X), {}, ValueError, r"\(3, 3\), got \(3, 4\)"),
        ((X, torch.ones(3, 3)), {}, TypeError, "boolean, got torch.float32"),
        ((X, torch.ones(3, 3).bool(), X, [0, 0, 0]), {}, ValueError, "beside a match matrix"),
        ((X, [0, 1, 1]), {"ids": [0, 1]}, ValueError, r"\(3, 3\), got \(2, 2\)"),
        ((X, [0, 1, 1], X, [0, 1, 1]), {"ids": [0, 1, 2]}, ValueError, "ref_ids is None"),
        ((X, ["a", "b", "c"], X, [0, 1, 1]), {}, TypeError, "strings on one side"),
        ((X, torch.zeros(3)), {}, TypeError, "float32"),
        ((X, [0, 1, 1]), {"ids": torch.zeros(3)}, TypeError, "ids must be integers"),
    ],
)
def test_bad_input_is_described(
    arguments: Any, keywords: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Matches.of(*arguments, **keywords)


def test_no_dense_mask_is_made_from_labels() -> None:
    """Four images each: the lists grow with the number of positives, not with B×R."""
    block = Matches(torch.arange(4000) // 4).block()
    assert len(block.row) == 16_000
    assert len(block.anchor) == 12_000


def test_references_that_are_the_batch_itself_are_known_by_being_the_same_object() -> None:
    """So pytorch-metric-learning is called; the rows are then no references of each other."""
    x, labels = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    alone = Matches.of(x, labels).block()
    for others in (labels, labels.clone(), [0, 1, 0, 1]):
        block = Matches.of(x, labels, x, others).block()
        assert positives_of(block) == positives_of(alone) == [[2], [3], [0], [1]]
        assert negatives_of(block) == negatives_of(alone)
    copied = Matches.of(x, labels, x.clone(), labels).block()
    assert positives_of(copied) == [[0, 2], [1, 3], [0, 2], [1, 3]]
    by_ids = Matches.of(x, labels, x, labels, ids=[0, 1, 2, 3], ref_ids=[0, 1, 2, 3]).block()
    assert positives_of(by_ids) == positives_of(alone)
    matrix = labels[:, None] == labels
    assert positives_of(Matches.of(x, matrix, x).block()) == positives_of(alone)
    with pytest.raises(ValueError, match="ref_emb is the batch itself, but ref_labels are not"):
        Matches.of(x, labels, x, labels.flip(0))
