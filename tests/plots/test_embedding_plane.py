"""Every embedding is drawn where it is, under its identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

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


def test_it_draws_where_it_is_told() -> None:
    _, ax = plt.subplots()
    assert embedding_plane(X, LABELS, ax=ax) is ax


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="embeddings must be two-dimensional to be drawn, got 3"):
        embedding_plane(torch.zeros(4, 3), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="centers must be two-dimensional to be drawn, got 3"):
        embedding_plane(X, LABELS, centers=torch.zeros(4, 3))
    with pytest.raises(ValueError, match="40 embeddings came with 39 labels"):
        embedding_plane(X, LABELS[1:])
    with pytest.raises(ValueError, match="no embeddings"):
        embedding_plane(torch.zeros(0, 2), [])
    with pytest.raises(ValueError, match="row 1 of 2"):
        embedding_plane(torch.tensor([[0.0, 0.0], [torch.inf, 0.0]]), [0, 1])
