from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from metricface.data import CropTemplate, similarity_transform
from metricface.data.alignment.similarity import inverse

Array = npt.NDArray[np.float64]
TEMPLATE = CropTemplate.named("arcface").places


def noisy(seed: int) -> Array:
    """Five landmarks somewhere in a photograph, not in the template's proportions."""
    generator = np.random.default_rng(seed)
    turn = np.exp(1j * generator.uniform(-np.pi, np.pi)) * generator.uniform(0.2, 20)
    z = turn * (TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]) + 500 * generator.normal()
    points: Array = np.stack([z.real, z.imag], 1) + abs(turn) * generator.normal(size=(5, 2))
    return points


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_it_is_scikit_image_s(seed: int) -> None:
    points = noisy(seed)
    theirs = SimilarityTransform.from_estimate(points, TEMPLATE)
    assert similarity_transform(points, TEMPLATE) == pytest.approx(theirs.params[:2], abs=1e-7)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_no_other_similarity_comes_nearer(seed: int) -> None:
    points, generator = noisy(seed), np.random.default_rng(seed + 1)

    def off(matrix: Array) -> float:
        return float(((points @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE) ** 2).sum())

    best = similarity_transform(points, TEMPLATE)
    for step in 1e-3 * generator.normal(size=(20, 4)):
        a, b = step[:2] * np.abs(best[0, :2]).max()
        assert off(best) <= off(best + np.array([[a, -b, step[2]], [b, a, step[3]]])) + 1e-9


def test_it_neither_shears_nor_mirrors() -> None:
    """Of the points of a face that turns away, which a shear would fit."""
    linear = similarity_transform(TEMPLATE * [0.5, 1], TEMPLATE)[:, :2]
    assert np.linalg.det(linear) > 0
    assert linear.T @ linear == pytest.approx(np.eye(2) * np.linalg.det(linear))


#: Eyes, tip of the nose and corners of the mouth of a face, in millimetres.
HEAD = np.array([[-32.0, -35, -15], [32, -35, -15], [0, 0, 22], [-26, 37, -8], [26, 37, -8]])


def seen(yaw: float, pitch: float) -> Array:
    """The head's points where a camera far away sees them."""
    (a, b), (c, d) = ((np.cos(x), np.sin(x)) for x in np.radians([yaw, pitch]))
    aside = np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]])
    down = np.array([[1, 0, 0], [0, c, -d], [0, d, c]])
    points: Array = (HEAD @ aside.T @ down.T)[:, :2]
    return points


@pytest.mark.parametrize("pitch", [-30, 0, 30])
def test_faces_pass_from_any_side_and_disordered_points_do_not(pitch: float) -> None:
    for yaw in (-90, -60, -30, 0, 30, 60, 90):
        similarity_transform(seen(yaw, pitch), TEMPLATE)
    for yaw in (-60, -30, 0, 30, 60):
        points = seen(yaw, pitch)
        for wrong in (points[[1, 0, 2, 4, 3]], points[:, ::-1], points * [-1, 1]):
            with pytest.raises(ValueError, match="fit no similarity: they are mirrored"):
                similarity_transform(wrong, TEMPLATE)


def test_several_at_once_are_each_alone() -> None:
    points = np.stack([noisy(seed) for seed in range(4)])
    together = similarity_transform(points, TEMPLATE)
    assert together == pytest.approx(
        np.stack([similarity_transform(each, TEMPLATE) for each in points]), abs=1e-12
    )


def test_there_and_back() -> None:
    points = noisy(3)
    matrix = similarity_transform(points, TEMPLATE)
    back = inverse(matrix)
    there = points @ matrix[:, :2].T + matrix[:, 2]
    assert there @ back[:, :2].T + back[:, 2] == pytest.approx(points)


LINE = np.stack([np.arange(5.0), 2 * np.arange(5.0)], 1)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.full((5, 2), 7.0), "landmarks coincide"),
        (LINE, "landmarks lie on one line"),
        (LINE + 1e4, "landmarks lie on one line"),
        (np.where(np.eye(5, 2) > 0, np.nan, TEMPLATE), "landmarks are not finite"),
        (np.where(np.eye(5, 2) > 0, np.inf, TEMPLATE), "landmarks are not finite"),
        (np.stack([TEMPLATE, LINE, TEMPLATE * 0]), "landmarks 2 coincide"),
        (TEMPLATE.T, r"points must be \[..., K, 2\] on both sides, got \(2, 5\)"),
        (TEMPLATE[:4], "on both sides"),
    ],
    ids=["coincide", "line", "far line", "NaN", "infinite", "several", "turned", "four"],
)
def test_points_that_say_nothing(points: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        similarity_transform(points, TEMPLATE)


def test_a_square_in_a_mirror_fits_no_similarity() -> None:
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    with pytest.raises(ValueError, match="landmarks 1 fit no similarity: they are mirrored"):
        similarity_transform(np.stack([square, square[::-1]]), square)


def test_sphereface_s_template_is_arcface_s_eight_pixels_further_left() -> None:
    other = CropTemplate.named("sphereface")
    assert other.places == pytest.approx(TEMPLATE - [8, 0])
    assert other.places[0] == pytest.approx([30.2946, 51.6963])
    assert other.size == (112, 96)
