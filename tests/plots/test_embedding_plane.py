"""Every embedding is drawn where it is, under its identity."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from metricface.plots import embedding_plane
from tests.layouts import draw_rows

X, LABELS = draw_rows(40, 2, 0), np.arange(40) % 10


def drawn(ax: Axes) -> list[Any]:
    return [np.asarray(cloud.get_offsets()) for cloud in ax.collections]


@pytest.mark.parametrize("normalize", [False, True])
def test_each_identity_is_one_cloud_of_its_points(normalize: bool) -> None:
    ax = embedding_plane(X, LABELS, normalize=normalize)
    points = X.numpy() / (X.norm(dim=1, keepdim=True).numpy() if normalize else 1)
    clouds = drawn(ax)
    assert len(clouds) == 10
    for identity, cloud in enumerate(clouds):
        np.testing.assert_allclose(cloud, points[identity == LABELS])
        np.testing.assert_allclose(ax.texts[identity].xy, cloud.mean(0))  # type: ignore[attr-defined]
        assert ax.texts[identity].get_text() == str(identity)
    low, high = ax.get_xlim()
    assert low == -high
    assert high > np.abs(points).max()
    assert ax.get_aspect() == 1


def test_ten_identities_differ_in_colour_or_shape() -> None:
    ax = embedding_plane(X, LABELS)
    looks = set()
    for cloud in ax.collections:
        shape = np.asarray(cloud.get_paths()[0].vertices)
        looks.add((np.asarray(cloud.get_facecolor()).tobytes(), shape.tobytes()))
    assert len(looks) == 10


def test_centres_are_rays_from_the_origin_to_the_edge() -> None:
    centers = torch.tensor([[3.0, 4.0], [0.0, -0.1], [0.0, 0.0]])
    ax = embedding_plane(X, LABELS, centers=centers)
    ends = [np.asarray(line.get_xydata())[1] for line in ax.lines]
    assert len(ends) == 2  # a zero centre has no direction
    edge = ax.get_xlim()[1]
    np.testing.assert_allclose(ends, [[0.6 * edge, 0.8 * edge], [0, -edge]], atol=1e-12)


def test_names_zeros_and_half_precision() -> None:
    ax = embedding_plane(torch.zeros(2, 2).bfloat16(), ["ben", "anna"], normalize=True)
    assert [text.get_text() for text in ax.texts] == ["anna", "ben"]
    assert all((cloud == 0).all() for cloud in drawn(ax))


def test_a_tiny_embedding_and_a_tiny_centre_have_their_direction() -> None:
    tiny = torch.tensor([[3e-200, 4e-200]], dtype=torch.float64)
    ax = embedding_plane(tiny, ["anna"], normalize=True, centers=tiny)
    np.testing.assert_allclose(drawn(ax), [[[0.6, 0.8]]])
    edge = ax.get_xlim()[1]
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_xdata()), [0, 0.6 * edge])


def test_more_dimensions_are_projected_on_the_two_that_show_most() -> None:
    """A flat cloud that was turned into 6 dimensions comes back flat, up to the axes' signs."""
    flat = draw_rows(40, 2, 1).double() * torch.tensor([3.0, 1.0])
    flat = flat - flat.mean(0)
    turn = torch.linalg.qr(draw_rows(6, 6, 2).double())[0][:2]
    ax = embedding_plane(flat @ turn + 5, LABELS)
    points = torch.from_numpy(np.concatenate(drawn(ax)))
    order = np.argsort(LABELS, kind="stable")
    torch.testing.assert_close(torch.pdist(points), torch.pdist(flat[order]))
    shares = points.var(0) / points.var(0).sum()
    for share, label, number in zip(
        shares, (ax.get_xlabel(), ax.get_ylabel()), (1, 2), strict=True
    ):
        told = f"principal component {number} of 6, (\\d+) % of the variance"
        found = re.fullmatch(told, label)
        assert found is not None
        assert abs(int(found[1]) - 100 * float(share)) <= 0.51
    assert shares[0] > shares[1]


@pytest.mark.parametrize("rows", [torch.zeros(3, 4), torch.ones(1, 4), torch.full((2, 3), 1e-30)])
def test_a_collapsed_embedding_is_one_point(rows: Tensor) -> None:
    ax = embedding_plane(rows, list(range(len(rows))), normalize=True)
    assert all(np.abs(cloud).max() < 1e-9 for cloud in drawn(ax))


def test_it_draws_where_it_is_told() -> None:
    _, ax = plt.subplots()
    assert embedding_plane(X, LABELS, ax=ax) is ax


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="must have at least two dimensions to be drawn, got 1"):
        embedding_plane(torch.zeros(4, 1), [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"centers are rays from the origin, .* got 3 dimensions"):
        embedding_plane(X, LABELS, centers=torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"centers are rays from the origin, .* got 3 dimensions"):
        embedding_plane(torch.zeros(4, 3), [0, 1, 2, 3], centers=torch.zeros(4, 2))
    with pytest.raises(ValueError, match="40 embeddings came with 39 labels"):
        embedding_plane(X, LABELS[1:])
    with pytest.raises(ValueError, match="no embeddings"):
        embedding_plane(torch.zeros(0, 2), [])
    with pytest.raises(ValueError, match="row 1 of 2"):
        embedding_plane(torch.tensor([[0.0, 0.0], [torch.inf, 0.0]]), [0, 1])
