"""Equal is equal: identical rows and codes get exact distances, in any order of the rows.

The oracles count in whole numbers, or look at which rows are identical.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.distance import centre
from metricface.evaluation import (
    class_distances,
    clustering,
    hardest_pairs,
    identification,
    retrieval,
    verification,
)
from metricface.miners import SemiHardMiner
from metricface.offline import nearest_impostors
from tests.cases import DISTANCES, FIXED_MINERS, RANDOM_MINERS, AnyMiner
from tests.oracles import evaluation as oracle
from tests.oracles import mining

every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
DTYPES = [torch.float32, torch.float64]
SEEDS = st.integers(0, 9999)


def sign_codes(count: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, dim), generator=generator) * 2 - 1


def differing(codes: Tensor) -> Tensor:
    """In how many places each two codes differ, whole numbers ``[N, N]``."""
    return (codes[:, None] != codes[None]).sum(2)


def some_labels(count: int, identities: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.randint(0, identities, (count,), generator=generator)


def with_twins(count: int, dim: int, seed: int, spread: float, dtype: torch.dtype) -> Tensor:
    """Rows of which many are identical to others, as near collapse as the spread says."""
    generator = torch.Generator().manual_seed(seed)
    few = 1 + spread * torch.randn(count // 2 + 1, dim, generator=generator, dtype=torch.float64)
    return few[torch.randint(0, len(few), (count,), generator=generator)].to(dtype)


def identical(x: Tensor) -> list[tuple[int, int]]:
    pairs = (x[:, None] == x[None]).all(2).nonzero().tolist()
    return [(i, j) for i, j in pairs if i < j]


def shuffles(count: int, number: int = 4) -> list[Tensor]:
    return [
        torch.from_numpy(np.random.default_rng(seed).permutation(count)) for seed in range(number)
    ]


@every_distance
@pytest.mark.parametrize("dtype", DTYPES)
@given(count=st.integers(2, 90), dim=st.integers(2, 70), seed=SEEDS)
@settings(deadline=None, max_examples=12)
def test_codes_as_far_apart_are_at_equal_distances(
    distance: Distance, dtype: torch.dtype, count: int, dim: int, seed: int
) -> None:
    codes = sign_codes(count, dim, seed)
    apart, measured = differing(codes), distance.pairwise(codes.to(dtype))
    previous = -1.0
    for number in sorted(set(apart.flatten().tolist())):
        values = set(measured[apart == number].tolist())
        assert len(values) == 1
        assert min(values) > previous
        previous = min(values)


@every_distance
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    count=st.integers(2, 60),
    dim=st.integers(1, 70),
    seed=SEEDS,
    spread=st.sampled_from([1e-4, 0.1, 10.0]),
)
@settings(deadline=None, max_examples=12)
def test_identical_rows_are_at_identical_distances(
    distance: Distance, dtype: torch.dtype, count: int, dim: int, seed: int, spread: float
) -> None:
    x = with_twins(count, dim, seed, spread, dtype)
    measured = distance.pairwise(x)
    beside = distance.pairwise(x[: count // 3], x)
    for i, j in identical(x):
        assert measured[i, j] == 0
        assert torch.equal(measured[i], measured[j])
        assert torch.equal(measured[:, i], measured[:, j])
        assert torch.equal(beside[:, i], beside[:, j])


def test_identical_rows_too_small_for_their_squares_are_at_no_distance() -> None:
    x = torch.tensor([[1e-305], [1e-305], [0.0]], dtype=torch.float64)
    assert SquaredEuclidean(normalize=False).pairwise(x).eq(0).all()


def test_autocast_chooses_no_other_centre() -> None:
    for seed in range(20):
        x = with_twins(20, 16, seed, 0.1, torch.float32)[:, :15]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = centre(x)
        assert torch.equal(inside, centre(x))


def test_without_rounding_loses_less_than_the_product_does() -> None:
    for dim, seed in ((3, 0), (128, 1), (512, 2)):
        x = with_twins(200, dim, seed, 0.3, torch.float64)
        plain = SquaredEuclidean(normalize=False)
        exact = mining.distance_matrix(x[:20].numpy(), x[:20].numpy(), normalize=False)
        double = plain.pairwise(x)[:20, :20].numpy()
        single = plain.pairwise(x.float())[:20, :20].numpy()
        assert np.abs(double - exact).max() < 1e-13 * exact.max()
        assert np.abs(single - exact).max() < 1e-6 * exact.max()


def semi_hard(d: Any, layout: mining.Layout, **settings_: Any) -> set[tuple[int, ...]]:
    choices = mining.semi_hard_choices(d, layout, **settings_)
    return {(a, p, n[0]) for (a, p), n in choices.items() if n}


def semi_hard_or_easiest(d: Any, layout: mining.Layout) -> set[tuple[int, ...]]:
    found = semi_hard(d, layout, bounded=False)
    for (a, p), n in mining.semi_hard_choices(d, layout, bounded=False).items():
        easiest = mining.farthest_negative(d, layout, a)
        if not n and easiest is not None:
            found.add((a, p, easiest))
    return found


# What miners of the table pick, by plain loops over distances of whole numbers: which of equal ones
# it picks is a miner's own affair.
PICKED: dict[str, Callable[[Any, mining.Layout], Any]] = {
    "batch-hard": mining.batch_hard,
    "semi-hard": partial(semi_hard, margin=0.5),
    "semi-hard, unbounded": partial(semi_hard, bounded=False),
    "semi-hard, or else the easiest": semi_hard_or_easiest,
    "batch-all": lambda d, layout: mining.violators(d, layout, 0.3),
    "batch-all, every triplet": lambda d, layout: set(layout.triplets()),
    "easy positive": partial(mining.easy_positive, semi_hard=True),
    "easy positive, hardest negative": partial(mining.easy_positive, semi_hard=False),
    "ranked": lambda d, layout: mining.ranked(d, layout, (0, 2), (1, 3)),
}


def as_distances(mined: Sequence[tuple[int, ...]], apart: Tensor) -> Counter[tuple[int, ...]]:
    return Counter((a, *(int(apart[a, other]) for other in others)) for a, *others in mined)


@pytest.mark.parametrize("make", FIXED_MINERS.values(), ids=FIXED_MINERS)
@given(count=st.integers(2, 40), dim=st.integers(2, 40), seed=SEEDS)
@settings(deadline=None, max_examples=15)
def test_miners_on_codes_pick_as_far_ones_in_any_order(
    make: Callable[..., AnyMiner], count: int, dim: int, seed: int
) -> None:
    codes, labels = sign_codes(count, dim, seed), some_labels(count, 4, seed)
    apart, order = differing(codes), shuffles(count, 1)[0]
    here, there = make()(codes.float(), labels), make()(codes[order].float(), labels[order])
    for some in (slice(2), slice(2, 4)) if len(here) == 4 else (slice(3),):
        mined = [index.tolist() for index in here[some]]
        turned = [order[index].tolist() for index in there[some]]
        expected = as_distances(list(zip(*mined, strict=True)), apart)
        assert as_distances(list(zip(*turned, strict=True)), apart) == expected


@pytest.mark.parametrize("name", [*PICKED, "multi-similarity", "multi-similarity, two negatives"])
@pytest.mark.parametrize("dtype", DTYPES)
@given(count=st.integers(2, 40), dim=st.integers(2, 40), seed=SEEDS)
@settings(deadline=None, max_examples=15)
def test_miners_on_codes_pick_what_whole_numbers_say(
    name: str, dtype: torch.dtype, count: int, dim: int, seed: int
) -> None:
    # Whether a tenth is 2/20 of a code's squared length is decided by rounding, unless both are
    # binary fractions.
    assume(dim in (4, 16) or all(dim * part % 20 for part in (2, 5, 10)))
    codes, labels = sign_codes(count, dim, seed), some_labels(count, 4, seed)
    apart, layout = differing(codes), mining.Layout(labels.tolist())
    mined = [index.tolist() for index in FIXED_MINERS[name]()(codes.to(dtype), labels)]
    if name.startswith("multi-similarity"):
        # Cosine distance is 2·apart/dim.
        epsilon, most = (0.1, count) if name == "multi-similarity" else (0.5, 2)
        d = 2 * apart.double().numpy() / dim
        genuine, impostor = mining.multi_similarity(d, layout, epsilon)
        expected = as_distances(list(genuine), apart)
        assert as_distances(list(zip(*mined[:2], strict=True)), apart) == expected
        nearest: Counter[tuple[int, ...]] = Counter()
        for a in range(count):
            ranked = sorted(int(apart[a, n]) for b, n in impostor if a == b)[:most]
            nearest.update((a, h) for h in ranked)
        assert as_distances(list(zip(*mined[2:], strict=True)), apart) == nearest
        return
    d = 4 * apart.double().numpy() / dim
    expected = as_distances(list(PICKED[name](d, layout)), apart)
    assert as_distances(list(zip(*mined, strict=True)), apart) == expected


@pytest.mark.parametrize("make", RANDOM_MINERS.values(), ids=RANDOM_MINERS)
@given(dim=st.sampled_from([4, 16]), seed=SEEDS)
@settings(deadline=None, max_examples=15)
def test_random_miners_on_codes_keep_their_strict_bounds(
    make: Callable[..., AnyMiner], dim: int, seed: int
) -> None:
    codes, labels = sign_codes(40, dim, seed), some_labels(40, 5, seed)
    squared = 4 * differing(codes).double() / dim
    miner = make()
    mined = miner(codes.float(), labels)
    if isinstance(miner, SemiHardMiner):
        near, far = squared[mined[0], mined[1]], squared[mined[0], mined[2]]
        assert (far < near + miner.margin).all()
        assert miner.include_hard or (far > near).all()
    cutoff = getattr(miner, "nonzero_loss_cutoff", None)
    if cutoff is not None and getattr(miner, "otherwise", None) == "skip":
        assert (squared[mined[0], mined[2]].sqrt() < cutoff).all()


def test_no_negative_at_exactly_the_margin_or_the_positive_is_semi_hard() -> None:
    codes, labels = sign_codes(200, 16, 0), some_labels(200, 20, 0)
    # Squared distances are whole multiples of a quarter: none lies inside a band of a quarter.
    assert len(SemiHardMiner(0.25)(codes.float(), labels).anchor) == 0


def figures(x: Tensor, labels: Tensor, distance: Distance) -> tuple[Any, ...]:
    """All of the evaluation that is a function of the set, not of the order of its rows."""
    ranked = retrieval(x, labels, ks=(1, 3), distance=distance)
    pairs = verification(x, labels, folds=2, fars=(0.1, 0.5), distance=distance)
    found = class_distances(x, labels, distance=distance, upper=1e4)
    return (
        ranked,
        (pairs.tar, pairs.eer, pairs.auc, pairs.threshold),
        (found.intra.tolist(), found.inter.tolist(), found.threshold),
        clustering(x, labels, threshold=1.0, distance=distance).b_cubed,
        hardest_pairs(x, labels, count=5, distance=distance).impostor_distances.tolist(),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalize", [True, False])
@given(dim=st.integers(3, 40), seed=SEEDS)
@settings(deadline=None, max_examples=8)
def test_evaluation_on_codes_counts_whole_numbers(
    dtype: torch.dtype, normalize: bool, dim: int, seed: int
) -> None:
    codes, labels = sign_codes(30, dim, seed), some_labels(30, 5, seed)
    distance = SquaredEuclidean(normalize=normalize)
    x, apart = codes.to(dtype), differing(codes)
    known = labels.tolist()
    found = retrieval(x, labels, ks=(1, 3), distance=distance)
    whole = codes.double().numpy()  # unnormalised, so that the oracle's numbers are whole
    ids = list(range(30))
    recall, precision, average, _ = oracle.retrieval(
        whole, known, whole, known, ids, ids, (1, 3), normalize=False
    )
    assert found.recall == pytest.approx(recall, abs=1e-12)
    assert found.r_precision == pytest.approx(precision, abs=1e-12)
    assert found.map_at_r == pytest.approx(average, abs=1e-12)
    i, j = torch.triu_indices(30, 30, offset=1)
    same = labels[i] == labels[j]
    genuine, impostor = apart[i, j][same].tolist(), apart[i, j][~same].tolist()
    for result in (
        verification(x, labels, folds=2, fars=(0.1,), distance=distance),
        verification(
            x, pairs=torch.stack([i, j], 1), same=same, folds=2, fars=(0.1,), distance=distance
        ),
    ):
        assert result.tar[0.1] == oracle.tar_at_far(genuine, impostor, 0.1)
        less = sum((g < h) + (g == h) / 2 for g in genuine for h in impostor)
        assert result.auc == pytest.approx(less / len(genuine) / len(impostor), abs=1e-12)
    impostors = nearest_impostors(x, labels, 3, distance=distance).indices
    for a in range(30):
        expected = sorted(int(apart[a, n]) for n in range(30) if labels[n] != labels[a])[:3]
        assert [int(apart[a, n]) for n in impostors[a]] == expected
    ranks, _, _ = oracle.identification_ranks(whole[:15], known[:15], whole[15:], known[15:])
    if ranks:
        ranked = identification(
            x[:15], labels[:15], x[15:], labels[15:], ranks=(1, 2), distance=distance
        )
        assert ranked.rank == {k: np.mean([r <= k for r in ranks]) for k in (1, 2)}


@pytest.mark.parametrize("dtype", DTYPES)
@given(dim=st.integers(2, 40), seed=SEEDS, kind=st.sampled_from(["codes", "twins", "collapsed"]))
@settings(deadline=None, max_examples=10)
def test_the_order_of_the_rows_changes_no_figure(
    dtype: torch.dtype, dim: int, seed: int, kind: str
) -> None:
    labels = some_labels(40, 6, seed)
    spread = {"twins": 1.0, "collapsed": 1e-5}
    x = (
        sign_codes(40, dim, seed).to(dtype)
        if kind == "codes"
        else with_twins(40, dim, seed, spread[kind], dtype)
    )
    for distance in (SquaredEuclidean(), SquaredEuclidean(normalize=False)):
        expected = figures(x, labels, distance)
        for order in shuffles(40, 2):
            assert figures(x[order], labels[order], distance) == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [3, 64, 129])
def test_no_threshold_accepts_a_genuine_pair_before_an_identical_impostor_pair(
    dtype: torch.dtype, dim: int
) -> None:
    generator = torch.Generator().manual_seed(dim)
    x = 1 + 1e-5 * torch.randn(21, dim, generator=generator, dtype=torch.float64)
    # 20 rows of 10 identities are one image: 10 genuine and 180 of the 770 impostor pairs.
    rows = torch.cat([torch.zeros(20, dtype=torch.int64), torch.arange(1, 21)])
    labels = torch.cat([torch.arange(20) // 2, torch.arange(100, 120)])
    order = torch.randperm(40, generator=generator)
    result = verification(x.to(dtype)[rows][order], labels[order], folds=2, fars=(0.1, 0.3))
    assert result.tar == {0.1: 0.0, 0.3: 1.0}
