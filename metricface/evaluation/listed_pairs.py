"""Pairs that somebody lists: their distances, and what each threshold accepts of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances.product import squared_differences
from metricface.distances.rows import Rows
from metricface.distributed.together import Together
from metricface.evaluation.held_out import Impostors
from metricface.evaluation.operating_points import OperatingPoints

IndexPairs: TypeAlias = "Tensor | npt.NDArray[Any] | Sequence[tuple[int, int]]"
Flags: TypeAlias = "Tensor | npt.NDArray[Any] | Sequence[bool]"

_AT_ONCE = 1 << 20  # entries of a side of pairs that are measured together: half a cache
_KEPT = 1 << 26  # entries of rows that are kept ready: 256 MiB in float32
_COUNTED = 1 << 20  # pairs that are counted together


def counted_pairs(
    x: Rows, pairs: IndexPairs | None, same: Flags | None, folds: int, together: Together
) -> tuple[OperatingPoints, Impostors]:
    """Counts over the given pairs, in folds of consecutive ones, and the impostors.

    Args:
        x: what the pairs are of.
        pairs: rows to compare, integers ``[T, 2]``.
        same: whether each pair is of one identity, booleans ``[T]``.
        folds: number of folds.
        together: the ranks that share the pairs among them.

    Raises:
        ValueError: shapes or counts that do not fit, a row paired with itself.
        TypeError: pairs that are not integers, same that is not boolean.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> from metricface.distributed.together import ALONE
        >>> x = Rows(torch.eye(3), SquaredEuclidean())
        >>> points, _ = counted_pairs(x, [(0, 1), (0, 2)], [True, False], 1, ALONE)
        >>> points.genuine_total, points.impostor_total
        (array([1]), array([1]))
    """
    index, genuine = _checked(x, pairs, same)
    together.agree({**x.facts(), "pairs": index, "same": genuine})
    squared = _squared_of(x, index[together.stretch(len(index))])
    distances = x.distance.from_squared(together.cat(squared))
    each, more = divmod(len(index), folds)
    sizes = np.full(folds, each) + (np.arange(folds) < more)
    fold = torch.from_numpy(np.repeat(np.arange(folds, dtype=np.int32), sizes)).to(x.device)

    def impostors() -> Iterator[tuple[Tensor, Tensor]]:  # of all ranks, which count them alike
        columns = (torch.split(each, _COUNTED) for each in (distances, fold, ~genuine))
        for near, own, wanted in zip(*columns, strict=True):
            yield near[wanted], own[wanted].long()

    upper = float(distances.max()) if len(distances) else 1.0
    of_genuine = fold[genuine].long()
    points = OperatingPoints.count(distances[genuine], of_genuine, impostors(), folds, upper=upper)
    return points, Impostors(impostors, distances)


def _checked(x: Rows, pairs: IndexPairs | None, same: Flags | None) -> tuple[Tensor, Tensor]:
    """Pairs of two different rows, int64 ``[T, 2]``, and the verdict on each, or an error."""
    index = _as_tensor(
        pairs,
        "pairs must be rows of the embeddings, integers [T, 2] (of names or templates, the method "
        "rows of what was read makes them)",
        x.device,
    )
    genuine = _as_tensor(same, "same must be booleans [T]", x.device)
    if index.is_floating_point() or index.dtype == torch.bool:
        raise TypeError(f"pairs must be integers, got {index.dtype}")
    if genuine.dtype != torch.bool:
        raise TypeError(f"same must be boolean, got {genuine.dtype}")
    if index.ndim != 2 or index.shape[1] != 2:
        raise ValueError(f"pairs must have shape [T, 2], got {tuple(index.shape)}")
    if genuine.shape != index.shape[:1]:
        raise ValueError(f"{len(index)} pairs but same has shape {tuple(genuine.shape)}")
    index = index.long()
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < len(x):
        bad = int(((index < 0) | (index >= len(x))).any(dim=1).int().argmax())
        raise ValueError(
            f"pair {bad} is {tuple(index[bad].tolist())} but there are {len(x)} embeddings"
        )
    itself = index[:, 0] == index[:, 1]
    if itself.any():
        bad = int(itself.int().argmax())
        raise ValueError(
            f"pair {bad} is row {int(index[bad, 0])} and itself, at distance 0 whatever the "
            f"embeddings ({int(itself.sum())} of {len(index)} pairs are such): leave them out"
        )
    return index, genuine


def _as_tensor(values: Any, wanted: str, device: torch.device) -> Tensor:
    """What was given as a tensor, or the error that says what is wanted."""
    if isinstance(values, Tensor):
        return values.to(device)
    try:
        # torch shares the memory of contiguous, writable arrays only.
        return torch.from_numpy(np.require(values, requirements=["C", "W"])).to(device)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{wanted}: {error}") from error


def _squared_of(x: Rows, pairs: Tensor) -> Tensor:
    """The squared distance of each pair of rows ``[T]``, of some pairs at a time.

    Where there are more pairs than rows, each row is met several times: all are made ready once,
    unless they are too many to be kept.
    """
    ready = x[:] if len(x) < len(pairs) and len(x) * x.dim <= _KEPT else x
    step = max(1, _AT_ONCE // x.dim)
    # One piece of memory for all: small ones, kept between large ones that are not, would
    # scatter these over the heap.
    squared = torch.empty(len(pairs), dtype=x.dtype, device=x.device)
    for own, some in zip(torch.split(squared, step), torch.split(pairs, step), strict=True):
        own.copy_(squared_differences(*(ready[side] for side in some.unbind(1))))
    return squared
