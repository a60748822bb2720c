from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.embeddings import check_embeddings, set_finite_check
from tests.cases import DISTANCES
from tests.layouts import draw_rows
from tests.oracles.mining import distance_matrix

ORACLE = {SquaredEuclidean: "squared", Euclidean: "euclidean", Cosine: "cosine"}

every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


@every_distance
@given(b=st.integers(0, 6), r=st.integers(0, 6), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=15)
def test_agrees_with_the_oracle(distance: Distance, b: int, r: int, seed: int) -> None:
    x, y = draw_rows(b, 3, seed), draw_rows(r, 3, seed + 1)
    kind = ORACLE[type(distance)]
    expected = torch.from_numpy(
        distance_matrix(x.numpy(), y.numpy(), kind, normalize=distance.normalize)
    )
    torch.testing.assert_close(distance.pairwise(x, y), expected, rtol=0, atol=1e-7)
    n = min(b, r)
    torch.testing.assert_close(
        distance.paired(x[:n], y[:n]), expected.diagonal(), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(distance.block(*distance.prepare(x, y)), distance.pairwise(x, y))


@every_distance
def test_gathered_is_paired_of_the_rows(distance: Distance) -> None:
    x, y = draw_rows(5, 3, 0), draw_rows(4, 3, 1)
    i, j = torch.tensor([0, 4, 4]), torch.tensor([3, 0, 0])
    torch.testing.assert_close(distance.gathered(x, y, i, j), distance.paired(x[i], y[j]))


@every_distance
def test_never_negative_and_zero_to_itself(distance: Distance) -> None:
    x = draw_rows(50, 8, 0).float() * 1e-3 + 100
    d = distance.pairwise(x)
    assert (d >= 0).all()
    assert (d.diagonal() == 0).all()
    assert (distance.paired(x, x) == 0).all()


@every_distance
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted_also_under_autocast(
    distance: Distance, dtype: torch.dtype
) -> None:
    x = draw_rows(6, 16, 0).to(dtype)
    expected = distance.pairwise(x.float())
    assert distance.pairwise(x).dtype == torch.float32
    torch.testing.assert_close(distance.pairwise(x), expected, rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = distance.pairwise(x.float())
        rows = distance.paired(x, x.flip(0))
    torch.testing.assert_close(inside, expected, rtol=0, atol=0)
    assert rows.dtype == torch.float32


@every_distance
def test_double_stays_double_and_has_the_right_gradient(distance: Distance) -> None:
    x, y = draw_rows(3, 4, 0).requires_grad_(), draw_rows(3, 4, 1).requires_grad_()
    assert distance.pairwise(x, y).dtype == torch.float64
    assert torch.autograd.gradcheck(distance.pairwise, (x, y))
    assert torch.autograd.gradcheck(distance.paired, (x, y))
    assert torch.autograd.gradcheck(distance.pairwise, (x,))


@every_distance
@pytest.mark.parametrize("row", [[0.0, 0.0], [1.0, 1.0]], ids=["at the origin", "equal rows"])
def test_gradient_is_finite_at_zero_distance(distance: Distance, row: list[float]) -> None:
    for measure in (distance.pairwise, lambda x: distance.paired(x, x.flip(0))):
        x = torch.tensor([row] * 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(measure(x).sum(), x)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("norm", [1.0, 100.0])
@pytest.mark.parametrize(("spread", "share"), [(1e-3, 0.99), (1e-2, 0.999)])
def test_near_collapse_the_nearest_neighbour_is_still_right(
    norm: float, spread: float, share: float
) -> None:
    point = torch.nn.functional.normalize(draw_rows(1, 128, 0))
    x = (norm * (point + spread * draw_rows(512, 128, 1) / 128**0.5)).float()
    distance = SquaredEuclidean(normalize=False)
    d32 = distance.pairwise(x).fill_diagonal_(torch.inf)
    d64 = distance.pairwise(x.double()).fill_diagonal_(torch.inf)
    agree = (d32.argmin(1) == d64.argmin(1)).double().mean()
    assert agree >= share


def bad(value: float) -> Tensor:
    x = torch.ones(4, 2)
    x[2, 1] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "error", "says"),
    [
        (bad(float("nan")), None, ValueError, "row 2 of 4"),
        (torch.ones(1, 2), bad(float("inf")), ValueError, "ref_emb hold NaN or infinity"),
        (torch.ones(3), None, ValueError, r"\[rows, dim\], got \(3,\)"),
        (torch.ones(3, 2), torch.ones(3, 4), ValueError, "dimension 2 but ref_emb has 4"),
        (torch.ones(3, 2, dtype=torch.int64), None, TypeError, "int64"),
        ([[1.0]], None, TypeError, "list"),
    ],
)
def test_bad_input_is_described(
    x: Tensor, y: Tensor | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Euclidean().pairwise(x, y)


def test_paired_needs_as_many_rows() -> None:
    with pytest.raises(ValueError, match="3 and 2"):
        Euclidean().paired(torch.ones(3, 2), torch.ones(2, 2))


def test_large_finite_values_whose_sum_overflows_are_accepted() -> None:
    check_embeddings(torch.full((4, 2), 3e38))


def test_the_finite_check_can_be_switched_off_and_returns() -> None:
    with set_finite_check(False):
        assert SquaredEuclidean().pairwise(bad(float("nan"))).isnan().any()
    with pytest.raises(ValueError, match="NaN"):
        SquaredEuclidean().pairwise(bad(float("nan")))
