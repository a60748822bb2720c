"""What every miner promises, checked for every row of the table."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.distances import SquaredEuclidean
from metricface.types import as_pairs
from tests.cases import FIXED_MINERS, MINERS, RANDOM_MINERS, AnyMiner
from tests.layouts import Batch, batches, draw_rows

Make = Callable[..., AnyMiner]
every_miner = pytest.mark.parametrize("make", MINERS.values(), ids=MINERS)
fixed_miners = pytest.mark.parametrize("make", FIXED_MINERS.values(), ids=FIXED_MINERS)
random_miners = pytest.mark.parametrize("make", RANDOM_MINERS.values(), ids=RANDOM_MINERS)

X, LABELS = draw_rows(12, 4, 0), torch.arange(12) // 3


def equal(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> bool:
    return len(a) == len(b) and all(torch.equal(s, t) for s, t in zip(a, b, strict=True))


def as_sets(mined: Sequence[torch.Tensor]) -> list[set[tuple[int, ...]]]:
    """Triplets as one set, pairs as two."""
    groups = [mined] if len(mined) == 3 else [mined[:2], mined[2:]]
    return [set(zip(*(t.tolist() for t in group), strict=True)) for group in groups]


@every_miner
@given(batch=batches())
@settings(deadline=None, max_examples=40)
def test_mined_pairs_are_what_they_are_called(make: Make, batch: Batch) -> None:
    mined = make()(*batch.arguments, **batch.keywords)
    assert type(mined) is make().kind
    for index in mined:
        assert index.dtype == torch.int64
        assert index.ndim == 1
    pairs, layout = as_pairs(mined), batch.layout
    positives, negatives = pairs[:2], pairs[2:]
    for a, p in zip(*(t.tolist() for t in positives), strict=True):
        assert p in layout.positives[a]
    for a, n in zip(*(t.tolist() for t in negatives), strict=True):
        assert n in layout.negatives[a]


@every_miner
@given(batch=batches(), block_bytes=st.integers(1, 3000))
@settings(deadline=None, max_examples=30)
def test_block_size_never_changes_the_result(make: Make, batch: Batch, block_bytes: int) -> None:
    whole = make()(*batch.arguments, **batch.keywords)
    blocks = make(block_bytes=block_bytes)(*batch.arguments, **batch.keywords)
    assert equal(whole, blocks)


@every_miner
@pytest.mark.parametrize("labels", [[], [0], [0, 0, 0], [0, 1, 2]], ids=str)
def test_no_triplet_is_an_empty_answer(make: Make, labels: list[int]) -> None:
    mined = make()(torch.rand(len(labels), 3), torch.tensor(labels, dtype=torch.int64))
    assert all(index.dtype == torch.int64 for index in mined)
    assert len(mined[0]) == 0


@every_miner
def test_identical_embeddings_are_no_trouble(make: Make) -> None:
    mined = make()(torch.ones(6, 4), [0, 0, 0, 1, 1, 1])
    assert all((index >= 0).all() and (index < 6).all() for index in mined)


@fixed_miners
@given(batch=batches(references=False), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_permuting_the_batch_permutes_the_mined_set(make: Make, batch: Batch, seed: int) -> None:
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(batch.labels)))
    labels = torch.tensor(batch.labels, dtype=torch.int64)
    ids = None if batch.ids is None else torch.tensor(batch.ids, dtype=torch.int64)
    mined = make()(batch.embeddings, labels, ids=ids)
    shuffled = make()(
        batch.embeddings[order], labels[order], ids=None if ids is None else ids[order]
    )
    assert as_sets([order[index] for index in shuffled]) == as_sets(mined)


@every_miner
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_mines_what_its_float32_copy_mines(make: Make, dtype: torch.dtype) -> None:
    half = X.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mined = make()(half, LABELS)
    assert equal(mined, make()(half.float(), LABELS))


@every_miner
def test_a_graph_is_neither_needed_nor_made(make: Make) -> None:
    x = X.clone().requires_grad_()
    mined = make()(x, LABELS)
    assert not any(index.requires_grad for index in mined)
    assert equal(mined, make()(X, LABELS))


@random_miners
def test_outside_random_numbers_change_nothing(make: Make) -> None:
    first, second = make(seed=5), make(seed=5)
    for _ in range(3):
        a = first(X, LABELS)
        torch.rand(7)
        np.random.rand(3)  # noqa: NPY002
        random.random()
        state = torch.get_rng_state()
        assert equal(a, second(X, LABELS))
        assert torch.equal(torch.get_rng_state(), state)


@random_miners
def test_calls_differ_and_seeds_differ(make: Make) -> None:
    miner = make(seed=1)
    calls = [miner(X, LABELS) for _ in range(6)]
    assert any(not equal(calls[0], other) for other in calls[1:])
    others = [make(seed=seed)(X, LABELS) for seed in range(2, 8)]
    assert any(not equal(calls[0], other) for other in others)


@random_miners
def test_a_restored_miner_draws_what_the_original_would_have(make: Make) -> None:
    original = make(seed=3)
    original(X, LABELS)
    restored = make(seed=99)
    restored.load_state_dict(original.state_dict())
    for _ in range(3):
        assert equal(original(X, LABELS), restored(X, LABELS))


@every_miner
def test_processes_with_an_offset_each_mine_what_one_would(make: Make) -> None:
    """Parts of a batch against all of it; a part may be empty, and each call has its own draws."""
    samples = torch.arange(12)
    whole, parts = make(), [make() for _ in range(4)]
    for miner, start in zip(parts, (0, 5, 5, 6), strict=True):
        miner.first_anchor = start
    for _ in range(2):
        mined: list[set[tuple[int, ...]]] = [set(), set()]
        for miner, stop in zip(parts, (5, 5, 6, 12), strict=True):
            own = slice(miner.first_anchor, stop)
            found = miner(X[own], LABELS[own], X, LABELS, ids=samples[own], ref_ids=samples)
            for every, some in zip(mined, as_sets(found), strict=False):
                every |= {(a + miner.first_anchor, *others) for a, *others in some}
        expected = as_sets(whole(X, LABELS))
        assert mined[: len(expected)] == expected


@every_miner
def test_bad_batches_are_refused_with_what_arrived(make: Make) -> None:
    nan = X.clone()
    nan[7] = float("nan")
    with pytest.raises(ValueError, match="row 7 of 12"):
        make()(nan, LABELS)
    with pytest.raises(ValueError, match="12 embeddings came with 5 labels"):
        make()(X, LABELS[:5])
    with pytest.raises(ValueError, match="block_bytes"):
        make(block_bytes=0)


@every_miner
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_mines_what_the_cpu_mines(make: Make) -> None:
    mined = make()(X.cuda(), LABELS.cuda())
    assert all(index.is_cuda for index in mined)
    assert equal(tuple(index.cpu() for index in mined), make()(X, LABELS))


def test_a_miner_takes_the_distance_it_is_given() -> None:
    from metricface.miners import BatchHardMiner

    x = torch.tensor([[1.0, 0.0], [5.0, 0.1], [1.5, 0.5], [0.9, 0.9]])
    plain = BatchHardMiner(distance=SquaredEuclidean(normalize=False))(x, [0, 0, 1, 1])
    unit = BatchHardMiner()(x, [0, 0, 1, 1])
    assert plain.negative[1] == 2
    assert unit.negative[0] == 2
    assert not equal(plain, unit)
