"""Histograms of all pairs: counted exactly, in blocks, with the moments of the pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings

from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.evaluation import class_distances
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.oracles import evaluation as oracle


@settings(deadline=None, max_examples=60)
@given(labelled_sets())
def test_counts_and_moments_are_those_of_a_plain_loop(sample: LabelledSet) -> None:
    x, labels = sample
    found = class_distances(x, labels, bins=7, distance=EXACT, block=3)
    intra, inter = map(np.array, oracle.split_pairs(x.astype(float), labels, normalize=False))
    farthest = max(intra.max(), inter.max())
    assert farthest <= found.edges[-1] <= (4.001 * farthest or 1.0)
    assert found.intra.tolist() == oracle.histogram(intra.tolist(), found.edges.tolist())
    assert found.inter.tolist() == oracle.histogram(inter.tolist(), found.edges.tolist())
    # Of a variance as the difference of two sums half of the digits are left.
    spread = 1e-7 * max(1.0, farthest)
    assert found.intra_mean == pytest.approx(intra.mean(), abs=1e-12)
    assert found.intra_std == pytest.approx(intra.std(), abs=spread)
    assert found.inter_mean == pytest.approx(inter.mean(), abs=1e-12)
    assert found.inter_std == pytest.approx(inter.std(), abs=spread)


@settings(deadline=None, max_examples=40)
@given(labelled_sets())
def test_threshold_overlap_and_d_prime_follow_from_counts(sample: LabelledSet) -> None:
    found = class_distances(*sample, bins=9, distance=EXACT)
    p, q = found.intra / found.intra.sum(), found.inter / found.inter.sum()
    errors = [(p[k:].sum() + q[:k].sum()) / 2 for k in range(10)]
    assert found.error == pytest.approx(min(errors))
    below = found.edges[:-1] < found.threshold - 1e-9
    if (np.abs(found.edges - found.threshold) < 1e-9).any():
        assert (p[~below].sum() + q[below].sum()) / 2 == pytest.approx(min(errors))
    assert found.overlap == pytest.approx(sum(map(min, p.tolist(), q.tolist())))
    spread = np.sqrt((found.intra_std**2 + found.inter_std**2) / 2)
    if spread > 0:
        expected = (found.inter_mean - found.intra_mean) / spread
        assert found.d_prime == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("distance", "upper"), [(SquaredEuclidean(), 4.0), (Euclidean(), 2.0), (Cosine(), 2.0)]
)
def test_edges_end_where_unit_vectors_do(distance: Distance, upper: float) -> None:
    x = np.array([[1.0, 0.0], [3.0, 0.0], [-2.0, 0.0]])
    found = class_distances(x, [0, 0, 1], bins=5, distance=distance)
    np.testing.assert_allclose(found.edges, np.linspace(0, upper, 6))
    assert found.intra.tolist() == [1, 0, 0, 0, 0]
    assert found.inter.tolist() == [0, 0, 0, 0, 2]


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-3])
def test_near_collapse_overlap_and_threshold_are_as_fine(spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) // 4
    identity = torch.randn(20, 8, generator=generator, dtype=torch.float64)[labels]
    own = torch.randn(80, 8, generator=generator, dtype=torch.float64)
    x = torch.ones(8, dtype=torch.float64) + spread * (identity + 0.4 * own)
    found = class_distances(x, labels)
    pairs = oracle.split_pairs(
        torch.nn.functional.normalize(x).numpy(), labels.tolist(), normalize=False
    )
    intra, inter = map(np.array, pairs)
    reached = np.flatnonzero(found.intra + found.inter)[-1] + 1
    assert reached >= 50
    assert 0 < found.threshold < inter.max()
    wrong = ((intra >= found.threshold).mean() + (inter < found.threshold).mean()) / 2
    assert wrong == pytest.approx(found.error, abs=1e-9)
    assert found.overlap < 0.5


def test_two_sets_share_the_edges_they_are_given() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(30) // 3
    wide = torch.randn(30, 4, generator=generator)
    found = [class_distances(x, labels, upper=4.0, bins=8) for x in (wide, wide + 9)]
    for each in found:
        np.testing.assert_array_equal(each.edges, np.linspace(0, 4, 9))
        assert each.intra.sum() == 30
        assert each.inter.sum() == 30 * 29 // 2 - 30
    farthest = float(torch.cdist(wide, wide).max())
    plain = Euclidean(normalize=False)
    exactly = class_distances(wide, labels, upper=farthest * 1.0001, distance=plain)
    assert exactly.inter[-1] + exactly.intra[-1] >= 1
    with pytest.raises(ValueError, match=r"a distance of .* is beyond upper="):
        class_distances(wide, labels, upper=farthest * 0.99, distance=plain)


@pytest.mark.parametrize("upper", [0.0, -1.0, float("nan"), float("inf")])
def test_an_upper_edge_that_is_none_is_said(upper: float) -> None:
    with pytest.raises(ValueError, match="upper must be above 0 and finite"):
        class_distances(np.eye(4), [0, 0, 1, 1], upper=upper)


def test_five_thousand_agree_with_numpy_to_the_count() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 500, (5_000,), generator=generator)
    x = torch.randn(5_000, 16, generator=generator, dtype=torch.float64)
    found = class_distances(x, labels, bins=200)
    unit = x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)
    squared = np.clip(2 - 2 * unit @ unit.T, 0, 4)
    upper = np.triu(np.ones(squared.shape, dtype=bool), 1)
    same = labels.numpy()[:, None] == labels.numpy()
    assert found.intra.dtype == found.inter.dtype == np.int64
    np.testing.assert_array_equal(found.intra, np.histogram(squared[upper & same], found.edges)[0])
    np.testing.assert_array_equal(found.inter, np.histogram(squared[upper & ~same], found.edges)[0])
    assert found.inter_mean == pytest.approx(squared[upper & ~same].mean(), rel=1e-12)
    assert found.inter_std == pytest.approx(squared[upper & ~same].std(), rel=1e-10)


@pytest.mark.parametrize("bins", [1, 3, 7, 50, 200, 997])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_binning_is_numpys_at_every_edge(bins: int, dtype: torch.dtype) -> None:
    from metricface.evaluation.class_distances import _Histogram

    edges = np.linspace(0, 4, bins + 1)
    on = torch.from_numpy(edges).to(dtype)
    up, down = on.nextafter(on.new_tensor(9.0)), on.nextafter(on.new_tensor(-9.0))
    values = torch.cat([on, up, down])
    values = values[(values >= 0) & (values <= 4)]
    expected, _ = np.histogram(values.double().numpy(), edges)
    assert _Histogram(edges, values).count(values).tolist() == expected.tolist()


@pytest.mark.parametrize("block", [1, 2, 5, 1000])
def test_block_size_never_changes_the_result(block: int) -> None:
    generator = np.random.default_rng(1)
    half = generator.integers(-9, 9, (15, 3)).astype(np.float32)
    x, labels = np.concatenate([half, -half]), generator.integers(0, 6, 30)
    one = class_distances(x, labels, distance=EXACT, block=block)
    other = class_distances(x, labels, distance=EXACT, block=7)
    np.testing.assert_array_equal(one.intra, other.intra)
    np.testing.assert_array_equal(one.inter, other.inter)
    assert (one.d_prime, one.threshold) == pytest.approx((other.d_prime, other.threshold))


def test_threshold_stands_in_the_middle_of_a_gap() -> None:
    x = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    found = class_distances(x, [0, 0, 1, 1], bins=121, distance=Euclidean(normalize=False))
    assert found.threshold == pytest.approx((1 + 9) / 2, abs=0.2)
    assert found.error == found.overlap == 0.0


def test_identical_embeddings_have_no_d_prime() -> None:
    found = class_distances(np.ones((4, 2)), [0, 0, 1, 1])
    assert np.isnan(found.d_prime)
    assert found.overlap == 1.0
    assert found.error == 0.5


@pytest.mark.parametrize(
    ("x", "labels", "bins", "message"),
    [
        (np.eye(3), [0, 0], 4, "3 embeddings came with 2 labels"),
        (np.eye(3), [0, 1, 2], 4, "no two of the 3 samples share an identity"),
        (np.eye(3), [1, 1, 1], 4, "one identity"),
        (np.eye(3), [0, 0, 1], 0, "bins must be from 1"),
        (np.array([[0.0], [np.nan], [1.0]]), [0, 0, 1], 4, "first in row 1"),
        (np.zeros(3), [0, 0, 1], 4, r"shape \[rows, dim\], got \(3,\)"),
    ],
)
def test_bad_input_is_said(
    x: npt.NDArray[np.float64], labels: list[int], bins: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        class_distances(x, labels, bins=bins)


def test_quantiles_are_the_data_to_within_a_bin() -> None:
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(120, 8, generator=generator), torch.arange(120) // 6
    found = class_distances(x, labels, bins=400)
    unit = torch.nn.functional.normalize(x.double()).numpy()
    intra, inter = oracle.split_pairs(unit, labels.tolist(), normalize=False)
    for q in (0.0, 0.01, 0.3, 0.5, 0.97, 1.0):
        expected = (np.quantile(intra, q), np.quantile(inter, q))
        assert found.quantiles(q) == pytest.approx(expected, abs=0.03)
    with pytest.raises(ValueError, match="q must be from 0 to 1"):
        found.quantiles(1.1)
