"""Verification figures against plain loops and scikit-learn."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from metricface.distances import SquaredEuclidean
from metricface.evaluation import verification
from metricface.evaluation.operating_points import OperatingPoints, allowed_impostors
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.oracles import evaluation as oracle

FARS = (0.07, 0.1, 0.29, 0.5, 1.0)


def at(distances: Sequence[float]) -> tuple[npt.NDArray[np.floating[Any]], list[tuple[int, int]]]:
    """Embeddings and pairs of them, the t-th of which has the t-th squared distance."""
    x = np.sqrt([0.0, *distances])[:, None]
    return x, [(0, 1 + t) for t in range(len(distances))]


@st.composite
def listed_pairs(draw: st.DrawFn) -> tuple[list[int], list[bool], int]:
    """Distances with ties and verdicts, each fold with both kinds."""
    folds = draw(st.integers(2, 4))
    per_fold = draw(st.integers(2, 8))
    count = folds * per_fold
    distances = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    same = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    for fold in range(folds):
        same[fold * per_fold : fold * per_fold + 2] = [True, False]
    return distances, same, folds


@settings(deadline=None, max_examples=80)
@given(listed_pairs())
def test_listed_pairs_follow_the_lfw_protocol(case: tuple[list[int], list[bool], int]) -> None:
    distances, same, folds = case
    x, pairs = at(distances)
    exact = [float(np.sqrt(d) ** 2) for d in distances]
    found = verification(x, pairs=pairs, same=same, folds=folds, fars=(1.0,), distance=EXACT)
    parts = [part.tolist() for part in np.array_split(np.arange(len(same)), folds)]
    accuracies = oracle.lfw_accuracies(exact, same, parts)
    assert found.accuracies == pytest.approx(accuracies)
    assert found.accuracy == pytest.approx(np.mean(accuracies))
    assert found.std == pytest.approx(np.std(accuracies, ddof=1), abs=1e-12)
    assert found.sem == pytest.approx(found.std / math.sqrt(folds))
    assert (found.genuine_pairs, found.impostor_pairs) == (sum(same), len(same) - sum(same))
    assert found.auc == pytest.approx(roc_auc_score(same, -np.array(exact)))


@settings(deadline=None, max_examples=60)
@given(labelled_sets())
def test_all_pairs_figures_are_those_of_plain_loops(sample: LabelledSet) -> None:
    x, labels = sample
    genuine, impostor = oracle.split_pairs(x.astype(float), labels, normalize=False)
    assume(len(genuine) > 1)
    fars = [far for far in FARS if far * len(impostor) >= 1]
    found = verification(x, labels, folds=2, fars=fars, distance=EXACT, block=3)
    assert found.tar == {far: oracle.tar_at_far(genuine, impostor, far) for far in fars}
    assert found.threshold == oracle.best_balanced_threshold(genuine, impostor)
    verdicts = [1] * len(genuine) + [0] * len(impostor)
    assert found.auc == pytest.approx(roc_auc_score(verdicts, [-d for d in genuine + impostor]))


@settings(deadline=None, max_examples=60)
@given(labelled_sets())
def test_the_roc_holds_what_its_thresholds_accept(sample: LabelledSet) -> None:
    x, labels = sample
    genuine, impostor = oracle.split_pairs(x.astype(float), labels, normalize=False)
    assume(len(genuine) > 1)
    roc = verification(x, labels, folds=2, fars=(1.0,), distance=EXACT).roc
    for far, tar, threshold in zip(roc.far, roc.tar, roc.thresholds, strict=True):
        assert far == np.mean([d <= threshold for d in impostor])
        assert tar == np.mean([d <= threshold for d in genuine])
    assert (roc.far[0], roc.tar[0], roc.far[-1], roc.tar[-1]) == (0, 0, 1, 1)


def test_roc_lies_on_scikit_learns() -> None:
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(200) // 5
    x = torch.randn(40, 8, generator=generator)[labels] + torch.randn(200, 8, generator=generator)
    found = verification(x.double(), labels)
    unit = torch.nn.functional.normalize(x.double())
    row, column = torch.triu_indices(200, 200, 1)
    distance = ((unit[row] - unit[column]) ** 2).sum(1).numpy()
    same = (labels[row] == labels[column]).numpy()
    far, tar, _ = roc_curve(same, -distance)
    # A step curve is left out between corners: at each of our FARs the highest TAR is theirs.
    for rate in np.unique(found.roc.far):
        assert found.roc.tar[found.roc.far == rate].max() == tar[far == rate].max()
    assert found.auc == pytest.approx(roc_auc_score(same, -distance), abs=1e-12)
    closest = np.abs(far - (1 - tar)).argmin()
    assert found.eer == pytest.approx((far[closest] + 1 - tar[closest]) / 2, abs=1 / 390)
    assert 0.05 < found.eer < 0.4


def test_lines_of_the_roc_cross_at_the_equal_error_rate() -> None:
    # Genuine 0, 2, 4 and impostors 1, 3, 5 alternate: both errors are 1/3 from 2 on.
    (x, pairs), same = at(range(6)), [True, False] * 3
    found = verification(x, pairs=pairs, same=same, folds=3, fars=(0.34,), distance=EXACT)
    assert found.eer == pytest.approx(1 / 3)
    assert found.tar == {0.34: 2 / 3}


def test_ties_between_the_kinds_are_crossed_on_the_diagonal() -> None:
    found = verification(np.ones((8, 2)), list("aabbccdd"), folds=2, fars=(0.5,))
    assert found.auc == found.eer == found.accuracy == 0.5
    assert found.tar == {0.5: 0.0}


@pytest.mark.parametrize("block", [1, 4, 500])
def test_block_size_never_changes_the_result(block: int) -> None:
    generator = np.random.default_rng(1)
    half = generator.integers(-9, 9, (20, 3)).astype(np.float32)
    x, labels = np.concatenate([half, -half]), generator.integers(0, 6, 40)
    one = verification(x, labels, fars=(0.1,), distance=EXACT, block=block)
    other = verification(x, labels, fars=(0.1,), distance=EXACT, block=7)
    assert one == other
    np.testing.assert_array_equal(one.roc.far, other.roc.far)


def test_the_seed_decides_the_folds_and_nothing_else_does() -> None:
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(60, 4, generator=generator), torch.arange(60) // 4
    before = torch.get_rng_state()
    results = [verification(x, labels, fars=(0.1,), seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    assert results[0] == results[1]
    assert results[0].std != results[2].std
    assert results[0].auc == results[2].auc


def test_impostors_are_dealt_evenly_and_folds_are_not_a_matter_of_identity() -> None:
    from metricface.evaluation.labelled_pairs import LabelledPairs
    from metricface.evaluation.verification import _of_labelled

    x, labels = np.random.default_rng(0).normal(size=(41, 3)), np.arange(41) // 3
    listed = LabelledPairs(x, labels, distance=EXACT, block=8)
    points, _ = _of_labelled(listed, 10, seed=0)
    assert points.genuine_total.max() - points.genuine_total.min() <= 1
    assert points.impostor_total.max() - points.impostor_total.min() <= 1
    rows = [
        (tile, listed.ordinals(tile)[:, None] + torch.arange(tile.distances.shape[1]))
        for tile in listed.impostors()
    ]
    numbers = torch.cat([tile.pick(number) for tile, number in rows])
    assert sorted(numbers.tolist()) == list(range(listed.impostor_count))


def test_all_pairs_accuracy_is_balanced() -> None:
    # 1 in 40 pairs is genuine: refusing everything is right in 97 % of them, and worth 0.5.
    x = np.random.default_rng(0).normal(size=(80, 8))
    found = verification(x, np.arange(80) // 2, fars=(0.1,))
    assert 0.3 < found.accuracy < 0.7


def test_a_far_with_too_few_impostors_is_said_and_not_faked() -> None:
    x, labels = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) // 2
    with pytest.warns(UserWarning, match="FAR 0.001 needs at least 1000 impostor pairs, there are"):
        found = verification(x, labels, fars=(0.1, 0.001))
    assert math.isnan(found.tar[0.001])
    assert not math.isnan(found.tar[0.1])


def test_labels_may_be_huge() -> None:
    x, small = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) // 3
    huge = [2**64 + int(label) for label in small]
    assert verification(x, huge, fars=(0.1,)) == verification(x, small, fars=(0.1,))


PAIRS = [(0, 1), (0, 2), (2, 3), (1, 3)]
SAME = [True, False, True, False]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "either labels, or pairs together with same"),
        ({"labels": [0, 0, 1, 1], "pairs": PAIRS}, ValueError, "either labels, or pairs"),
        ({"pairs": PAIRS}, ValueError, "pairs together with same"),
        ({"pairs": PAIRS, "same": SAME, "folds": 0}, ValueError, "at least 1, got 0"),
        ({"pairs": PAIRS, "same": SAME, "fars": (0.0,)}, ValueError, r"in \(0, 1\], got 0"),
        ({"pairs": PAIRS, "same": SAME[:3]}, ValueError, r"4 pairs but same has shape \(3,\)"),
        ({"pairs": PAIRS, "same": [1, 0, 1, 0]}, TypeError, "same must be boolean"),
        ({"pairs": [(0.0, 1.0)], "same": [True]}, TypeError, "pairs must be integers"),
        ({"pairs": [0, 1], "same": SAME}, ValueError, r"shape \[T, 2\], got \(2,\)"),
        ({"pairs": [(0, 1), (0, 4)], "same": [True, False]}, ValueError, r"pair 1 is \(0, 4\)"),
        ({"pairs": [(0, 1), (-1, 2)], "same": [True, False]}, ValueError, r"pair 1 is \(-1, 2\)"),
        ({"pairs": [(0, 1), (2, 2)], "same": [True] * 2}, ValueError, "pair 1 is row 2 and itself"),
        ({"pairs": PAIRS, "same": sorted(SAME), "folds": 2}, ValueError, "fold 0 of 2 holds no ge"),
        ({"labels": [0, 0, 1, 2], "folds": 3}, ValueError, r"holds no genuine pair \(1 in all\)"),
        ({"labels": [0, 0, 1]}, ValueError, "4 embeddings came with 3 labels"),
    ],
)
def test_bad_arguments_are_said(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        verification(np.eye(4), **{"folds": 2, "fars": (1.0,), **arguments})  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(listed_pairs(), st.sampled_from([0.3, 0.5, 1.0]))
def test_val_takes_its_threshold_from_the_other_folds(
    case: tuple[list[int], list[bool], int], far: float
) -> None:
    distances, same, folds = case
    x, pairs = at(distances)
    parts = [part.tolist() for part in np.array_split(np.arange(len(same)), folds)]
    fewest = min(sum(not same[i] for i in range(len(same)) if i not in part) for part in parts)
    assume(far * fewest >= 1)
    found = verification(x, pairs=pairs, same=same, folds=folds, fars=(far,), distance=EXACT)
    rates, fars = zip(*oracle.validation_rates(distances, same, parts, far), strict=True)
    assert found.val[far].mean == pytest.approx(np.mean(rates))
    assert found.val[far].std == pytest.approx(np.std(rates, ddof=1), abs=1e-12)
    assert found.val[far].sem == pytest.approx(found.val[far].std / math.sqrt(folds))
    assert found.val[far].far == pytest.approx(np.mean(fars))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [0.0, 1e-12, 0.5, 3.0])
def test_val_of_a_labelled_set_is_that_of_its_impostors_listed(
    spread: float, dtype: type[np.floating[Any]]
) -> None:
    """From a collapsed model to one whose identities stand far apart: all of one bracket."""
    from metricface.evaluation.labelled_pairs import LabelledPairs
    from metricface.evaluation.verification import _of_labelled

    generator = np.random.default_rng(0)
    labels = np.arange(39) // 3
    within = generator.normal(size=(39, 4)) * (0.01 if spread == 3 else 1)
    x = (spread * (generator.normal(size=(13, 4))[labels] + within)).astype(dtype)
    for distance in (EXACT, SquaredEuclidean()):
        listed = LabelledPairs(x, labels, distance=distance, block=32)
        _, impostors = _of_labelled(listed, 4, 0)
        tiles = [[part.clone() for part in tile] for tile in impostors.parts()]  # each lasts a turn
        met = [torch.cat(part).tolist() for part in zip(*tiles, strict=True)]
        # Genuine distances decide nothing about the FAR: one for each fold is enough.
        values, fold = met[0] + [0.0] * 4, met[1] + [0, 1, 2, 3]
        same = [False] * len(met[0]) + [True] * 4
        parts = [[i for i, of in enumerate(fold) if of == number] for number in range(4)]
        found = verification(x, labels, folds=4, fars=(0.01, 0.29, 1.0), distance=distance)
        for far in (0.01, 0.29, 1.0):
            fars = [rate for _, rate in oracle.validation_rates(values, same, parts, far)]
            assert found.val[far].far == pytest.approx(np.mean(fars)), (distance, far)


def test_no_genuine_pair_of_a_fold_moves_the_threshold_it_is_judged_at() -> None:
    """Impostors 1 … 10 in either fold; the genuine pairs are nearer, but one of the first fold."""

    def far(moved: float) -> float:
        folds = [[(0, True), (moved, True)], [(0, True), (0.25, True)]]
        distances, same = [], []
        for fold, offset in zip(folds, (0.0, 0.5), strict=True):
            listed = [*fold, *((n + offset, False) for n in range(1, 11))]
            distances += [d for d, _ in listed]
            same += [true for _, true in listed]
        x, pairs = at(distances)
        found = verification(x, pairs=pairs, same=same, folds=2, fars=(0.1,), distance=EXACT)
        return found.val[0.1].far

    # Just below 2.5 on the first fold, which accepts 1 and 2; just below 2 on the second: 1.5.
    assert [far(moved) for moved in (0.25, 1.25, 2.25, 9.0)] == [pytest.approx(0.15)] * 4


@pytest.mark.parametrize(
    ("far", "total", "count"),
    [
        *((0.29, 100, 29), (0.57, 100, 57), (0.58, 100, 58), (3e-4, 10_000, 3), (1 / 3, 3, 1)),
        *((0.289, 100, 28), (0.009, 100, 0), (1.0, 7, 7), (1e-3, 4_999_950_000, 4_999_950)),
        (0.5, 0, 0),
    ],
)
def test_a_far_allows_as_many_impostors_as_a_reader_counts(
    far: float, total: int, count: int
) -> None:
    assert allowed_impostors(far, total) == count
    if not 0 < total <= 10_000:
        return
    # As many impostors on either fold, each with a genuine pair at its distance.
    x, pairs = at([*range(total)] * 4)
    same = ([True] * total + [False] * total) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = verification(x, pairs=pairs, same=same, folds=2, fars=(far,), distance=EXACT)
    if count:
        assert found.val[far].mean == found.val[far].far == count / total
        assert found.tar[far] == allowed_impostors(far, 2 * total) // 2 / total


def test_val_is_nan_where_the_other_folds_cannot_tell() -> None:
    x, labels = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) // 2
    found = verification(x, labels, folds=2, fars=(0.008,))
    assert not math.isnan(found.tar[0.008])
    assert math.isnan(found.val[0.008].mean)


@pytest.mark.parametrize("upper", [0.5, 12.0, 1e6])
@pytest.mark.parametrize("spread", [0.0, 1e-38, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_impostors_are_counted_as_a_plain_comparison_counts_them(
    spread: float, dtype: torch.dtype, upper: float
) -> None:
    """Near thresholds and far from them, at them, between two floats, and beyond all."""
    generator = torch.Generator().manual_seed(0)
    genuine = spread * torch.rand(300, generator=generator, dtype=dtype)
    genuine[0] = 10 * spread  # far from the rest: cells without a threshold lie between
    beside = torch.cat([genuine, genuine.nextafter(genuine.new_tensor(torch.inf))])
    values = torch.cat([beside, 12 * spread * torch.rand(5000, generator=generator, dtype=dtype)])
    fold = torch.randint(3, (len(values),), generator=generator)
    hand = torch.randint(3, (300,), generator=generator)
    parts = zip(torch.split(values, 999), torch.split(fold, 999), strict=True)
    points = OperatingPoints.count(genuine, hand, parts, 3, upper=upper * spread)
    for number, threshold in enumerate(points.thresholds):
        accepted = values <= threshold
        assert points.impostor[:, number].tolist() == fold[accepted].bincount(minlength=3).tolist()
        assert points.nearer[number] == (values < threshold).sum()
