from __future__ import annotations

import io
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metricface.distances import SquaredEuclidean
from metricface.memory import CrossBatchMemory
from tests.cases import LOSSES, MINERS
from tests.layouts import draw_rows


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=6), st.integers(0, 8))
@settings(deadline=None, max_examples=100)
def test_it_keeps_the_last_entries_oldest_first(
    size: int, batch_sizes: list[int], warmup: int
) -> None:
    """Short batches, empty batches, batches larger than the memory; against a plain deque."""
    memory, expected = CrossBatchMemory(size, 2, warmup=warmup), deque[int](maxlen=size)
    pushed = 0
    for count in batch_sizes:
        entry = torch.arange(pushed, pushed + count)
        memory.push(entry[:, None].expand(-1, 2).float(), entry * 10, entry + 100)
        expected.extend(entry.tolist())
        pushed += count
        assert len(memory) == len(expected)
    stored = list(expected) if pushed >= warmup else []
    embeddings, labels, ids = memory.reference()
    assert embeddings[:, 0].tolist() == stored
    assert labels.tolist() == [10 * i for i in stored]
    assert ids.tolist() == [100 + i for i in stored]


def test_a_restored_memory_goes_on_where_it_stood() -> None:
    original, restored = CrossBatchMemory(5, 3), CrossBatchMemory(5, 3)
    original.push(draw_rows(7, 3, 0).float(), torch.arange(7))
    saved = io.BytesIO()
    torch.save(original.state_dict(), saved)
    saved.seek(0)
    restored.load_state_dict(torch.load(saved, weights_only=True))
    for memory in (original, restored):
        memory.push(draw_rows(2, 3, 1).float(), torch.tensor([8, 9]))
    for a, b in zip(original.reference(), restored.reference(), strict=True):
        assert torch.equal(a, b)


def test_dtype_follows_to() -> None:
    memory = CrossBatchMemory(4, 2).to(torch.bfloat16)
    memory.push(torch.ones(2, 2), torch.tensor([2**40, 1]))
    embeddings, labels, _ = memory.reference()
    assert embeddings.dtype == torch.bfloat16
    assert labels.tolist() == [2**40, 1]


def test_what_is_stored_has_no_graph_and_what_is_read_is_a_copy() -> None:
    memory = CrossBatchMemory(4, 2)
    x = torch.ones(4, 2, requires_grad=True)
    memory.push(x * 2, torch.arange(4))
    read = memory.reference()[0]
    assert not read.requires_grad
    memory.push(torch.zeros(4, 2), torch.arange(4))
    assert (read == 2).all()


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_miner_and_loss_works_with_it(miner: str, loss: str) -> None:
    """From the empty memory of the warm-up to a full ring, batches of other sizes than it holds."""
    memory, mine, measure = CrossBatchMemory(20, 4, warmup=10), MINERS[miner](), LOSSES[loss]()
    for step, count in enumerate([8, 5, 12, 8]):
        x = draw_rows(count, 4, step).float().requires_grad_()
        labels, ids = torch.arange(count) % 3, torch.arange(count) + 5 * step
        memory.push(x, labels, ids)
        ref_emb, ref_labels, ref_ids = memory.reference()
        mined = mine(x, labels, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids)
        for indices in (mined, None):
            value = measure(x, labels, indices, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids)
            assert value.isfinite()
            assert torch.autograd.grad(value, x)[0].isfinite().all()
        if len(ref_emb) == 0:
            assert len(mined[0]) == 0


def test_an_image_met_again_is_not_its_own_positive() -> None:
    from metricface.miners import BatchHardMiner

    memory = CrossBatchMemory(8, 2)
    x, labels, ids = draw_rows(4, 2, 0), torch.tensor([0, 0, 1, 1]), torch.tensor([5, 6, 7, 8])
    memory.push(x, labels, ids)
    refs = memory.reference()
    with_ids = BatchHardMiner()(x, labels, *refs[:2], ids=ids, ref_ids=refs[2])
    assert with_ids.positive.tolist() == [1, 0, 3, 2]


def test_entries_without_ids_are_samples_of_their_own() -> None:
    memory = CrossBatchMemory(4, 2)
    for _ in range(3):
        memory.push(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64))
    ids = memory.reference()[2].tolist()
    assert len(set(ids)) == 4
    assert max(ids) < 0


def test_drift_is_measured_from_the_latest_stored_version() -> None:
    memory = CrossBatchMemory(3, 1)
    for value, sample in ((0.0, 1), (1.0, 2), (5.0, 1), (7.0, 3)):
        memory.push(torch.tensor([[value]]), torch.tensor([0]), torch.tensor([sample]))
    fresh = torch.tensor([[10.0], [10.0], [10.0], [10.0]])
    moved = memory.drift(
        fresh, torch.tensor([1, 2, 3, 4]), distance=SquaredEuclidean(normalize=False)
    )
    assert moved.tolist() == [25.0, 81.0, 9.0]
    assert CrossBatchMemory(3, 1).drift(fresh, torch.arange(4)).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((torch.ones(2, 3), torch.zeros(2).long()), ValueError, "dimension 3 but the memory has 2"),
        ((torch.ones(2, 2), torch.zeros(3).long()), ValueError, r"2 embeddings .* \(3,\)"),
        ((torch.ones(2, 2), torch.zeros(2)), TypeError, "integer labels as a tensor, got torch.fl"),
        ((torch.ones(2, 2), ["a", "b"]), TypeError, "got list"),
        ((torch.ones(1, 2) / 0, torch.zeros(1).long()), ValueError, "NaN or infinity"),
    ],
)
def test_bad_batches_are_described(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        CrossBatchMemory(4, 2).push(*arguments)


ONES, SMALL = torch.ones(3, 2), torch.arange(3)


@pytest.mark.parametrize(
    ("labels", "ids", "error", "says"),
    [
        (SMALL.bool(), None, TypeError, "stores integer labels as a tensor, got torch.bool"),
        (
            SMALL.to(torch.complex64),
            None,
            TypeError,
            "integer labels as a tensor, got torch.complex64",
        ),
        (SMALL, SMALL.bool(), TypeError, "integer ids as a tensor, got torch.bool"),
        (
            SMALL,
            SMALL.to(torch.complex128),
            TypeError,
            "integer ids as a tensor, got torch.complex128",
        ),
        (SMALL, [0, 1, 2], TypeError, "integer ids as a tensor, got list"),
        (SMALL, SMALL - 1, ValueError, "ids must be 0 or above, got -1 in row 0 of 3"),
        (SMALL, -4 * SMALL, ValueError, "ids must be 0 or above, got -4 in row 1 of 3"),
        (SMALL, SMALL[:2], ValueError, r"3 embeddings came with ids of \(2,\)"),
        (SMALL[:, None], None, ValueError, r"labels of \(3, 1\)"),
    ],
)
def test_labels_and_ids_it_cannot_tell_apart_are_refused(
    labels: Any, ids: Any, error: type[Exception], says: str
) -> None:
    memory = CrossBatchMemory(4, 2)
    with pytest.raises(error, match=says):
        memory.push(ONES, labels, ids)
    assert len(memory) == 0


@pytest.mark.parametrize("name", ["labels", "ids"])
def test_integers_beyond_63_bits_are_refused(name: str) -> None:
    """Stored as int64 they would wrap, and no longer equal themselves in the next batch."""
    big = torch.from_numpy(np.array([0, 2**63, 2**64 - 1], dtype=np.uint64))
    memory = CrossBatchMemory(4, 2)
    given = {"labels": SMALL, "ids": SMALL} | {name: big}
    with pytest.raises(
        ValueError, match=f"{name} must be below 2\\^63, got 9223372036854775808 in"
    ):
        memory.push(ONES, **given)
    fits = torch.from_numpy(np.array([0, 2**63 - 1, 7], dtype=np.uint64))
    memory.push(ONES, **(given | {name: fits}))
    stored = memory.reference()[1 if name == "labels" else 2]
    assert stored.tolist() == [0, 2**63 - 1, 7]


@pytest.mark.parametrize(
    ("dtype", "kept", "value", "says"),
    [
        (
            torch.float64,
            torch.float32,
            1e39,
            r"1e\+39 in row 1 of 3, more than torch.float32 holds",
        ),
        (torch.float32, torch.float16, -1e5, "-100000 in row 1 of 3, more than torch.float16 hold"),
    ],
)
def test_what_would_be_stored_as_infinity_is_refused(
    dtype: torch.dtype, kept: torch.dtype, value: float, says: str
) -> None:
    memory = CrossBatchMemory(4, 2).to(kept)
    x = ONES.to(dtype)
    x[1, 0] = value
    with pytest.raises(ValueError, match=f"embeddings hold {says}"):
        memory.push(x, SMALL)
    assert len(memory) == 0
    memory.to(dtype).push(x, SMALL)
    assert memory.reference()[0].equal(x)


@pytest.mark.parametrize(
    ("ids", "error", "says"),
    [
        ([0, 1, 2], TypeError, "integer ids as a tensor, got list"),
        (SMALL[:2], ValueError, r"3 embeddings came with ids of \(2,\)"),
        (SMALL.float(), TypeError, "got torch.float32"),
        (SMALL - 1, ValueError, "ids must be 0 or above, got -1 in row 0 of 3"),
    ],
)
def test_drift_asks_for_the_ids_that_are_stored(
    ids: Any, error: type[Exception], says: str
) -> None:
    memory = CrossBatchMemory(4, 2)
    for _ in range(2):  # empty, and filled without ids, below zero therefore
        with pytest.raises(error, match=says):
            memory.drift(ONES, ids)
        memory.push(ONES, SMALL)


def test_a_state_of_another_size_is_refused_whole() -> None:
    filled, other = CrossBatchMemory(5, 3), CrossBatchMemory(4, 2)
    filled.push(torch.ones(7, 3), torch.arange(7))
    with pytest.raises(
        RuntimeError, match=r"of 5 embeddings of dimension 3, this memory keeps 4 of 2"
    ):
        other.load_state_dict(filled.state_dict())
    assert other.pushed == 0
    assert len(other.reference()[0]) == 0
    around = nn.ModuleList([CrossBatchMemory(4, 2)])
    with pytest.raises(RuntimeError, match="of 5 embeddings of dimension 3"):
        around.load_state_dict(nn.ModuleList([filled]).state_dict())


@pytest.mark.parametrize(("size", "dim", "warmup"), [(0, 2, 0), (2, 0, 0), (2, 2, -1)])
def test_bad_settings_are_described(size: int, dim: int, warmup: int) -> None:
    with pytest.raises(ValueError, match="got"):
        CrossBatchMemory(size, dim, warmup=warmup)
