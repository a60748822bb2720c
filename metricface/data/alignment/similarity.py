"""The similarity transform between two sets of points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LEAST_SPREAD = 1e-6  # of the landmarks, in shares of their distance from the origin
_MOST_OFF = 0.8  # of what is left between the points, in shares of the spread of where they belong


def similarity_transform(points: npt.ArrayLike, onto: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The similarity that brings points nearest to others: turn, scale and shift, nothing else.

    With the points as complex numbers z and the others as w, it is ``w ≈ a z + b`` with::

        a = Σ conj(z − z̄) (w − w̄) / Σ |z − z̄|²,    b = w̄ − a z̄

    which minimises ``Σ |a z + b − w|²``, as Umeyama's solution does. The angle of a turns and its
    length scales; there is no a that shears or mirrors.

    Points that come nowhere near are refused: where ``√(Σ |a z + b − w|² / Σ |w − w̄|²)`` is above
    0.8. Of the five points of a face it is 0.01 to 0.25 from the front (200 of the ORL faces),
    0.4 turned by 60°, 0.7 in profile; with left and right or x and y interchanged 0.88 to 1 up to
    60°. In profile the two cannot be told apart.

    Args:
        points: x and y of each ``[..., K, 2]``, at least two of them apart.
        onto: where they are to lie, ``[K, 2]`` or ``[..., K, 2]``.

    Returns:
        Matrices ``[..., 2, 3]``, float64: ``[x′, y′] = M · [x, y, 1]``.

    Raises:
        ValueError: shapes that do not fit, points that are not finite, that coincide, that lie
            on one line, or that are mirrored or in disorder. The first of several is named by its
            number.

    Example:
        >>> square = [[0, 0], [1, 0], [1, 1], [0, 1]]
        >>> turned = [[5, 5], [5, 7], [3, 7], [3, 5]]  # by a quarter, twice as large
        >>> similarity_transform(square, turned).round(9) + 0.0
        array([[ 0., -2.,  5.],
               [ 2.,  0.,  5.]])

    Reference: Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991.
    """
    here = np.asarray(points, dtype=np.float64)
    there = np.asarray(onto, dtype=np.float64)
    if here.ndim < 2 or here.shape[-1] != 2 or here.shape[-2:] != there.shape[-2:]:
        raise ValueError(
            f"points must be [..., K, 2] on both sides, got {here.shape} and {there.shape}"
        )
    _check(here)
    z, w = here[..., 0] + 1j * here[..., 1], there[..., 0] + 1j * there[..., 1]
    z_mean, w_mean = z.mean(-1, keepdims=True), w.mean(-1, keepdims=True)
    from_mean = z - z_mean
    spread = (np.abs(from_mean) ** 2).sum(-1)
    a = (from_mean.conj() * (w - w_mean)).sum(-1) / spread
    _check_order(np.abs(a) ** 2 * spread, (np.abs(w - w_mean) ** 2).sum(-1))
    b = w_mean[..., 0] - a * z_mean[..., 0]
    return np.stack(
        [np.stack([a.real, -a.imag, b.real], -1), np.stack([a.imag, a.real, b.imag], -1)], -2
    )


def inverse(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The transform back, ``[..., 2, 3]``.

    Example:
        >>> inverse(np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]])) + 0.0
        array([[ 0. ,  0.5, -2.5],
               [-0.5,  0. ,  2.5]])
    """
    back = np.linalg.inv(matrix[..., :2])
    return np.concatenate([back, -back @ matrix[..., 2:]], -1)


def _check_order(met: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> None:
    """Raise where too little of the wanted points' spread is met by the best transform."""
    off = np.ravel(met <= (1 - _MOST_OFF**2) * wanted)
    if off.any():
        where = f" {int(off.argmax())}" if len(off) > 1 else ""
        raise ValueError(
            f"landmarks{where} fit no similarity: they are mirrored, or in disorder; x comes "
            "before y, and left is where the viewer sees it"
        )


def _check(points: npt.NDArray[np.float64]) -> None:
    """Raise of the first points that no transform can be told from."""
    each = points.reshape(-1, *points.shape[-2:])
    finite = np.asarray(np.isfinite(each).all((1, 2)))
    known = np.where(finite[:, None, None], each, 0.0)
    # The two axes of the points: the lesser is 0 where they lie on one line.
    axes = np.linalg.svd(known - known.mean(1, keepdims=True), compute_uv=False)
    least = _LEAST_SPREAD * np.abs(known).max((1, 2)).clip(1.0)
    faults = {
        "are not finite": ~finite,
        "coincide": finite & (axes[:, 0] <= least),
        "lie on one line": finite & (axes[:, 1] <= least),
    }
    for what, bad in faults.items():
        if np.any(bad):
            first = int(np.argmax(bad))
            where = f" {first}" if len(each) > 1 else ""
            raise ValueError(f"landmarks{where} {what}: {each[first].tolist()}")
