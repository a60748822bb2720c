"""Several pictures of one subject as one embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances.rows import Rows
from metricface.distances.unit_rows import unit_rows
from metricface.evaluation.given import DISTANCE
from metricface.types import Embeddings, Labels, numbered

Weights: TypeAlias = "Tensor | npt.NDArray[Any] | Sequence[float]"


class Templates(NamedTuple):
    """One row per template, in the sorted order of their names."""

    embeddings: Tensor
    """Mean embeddings ``[M, D]``."""
    names: npt.NDArray[Any]
    """Name of each template ``[M]``."""


def mean_templates(
    embeddings: Embeddings,
    templates: Labels,
    *,
    media: Labels | None = None,
    weights: Weights | None = None,
    normalize: bool = True,
) -> Templates:
    """The mean embedding of each template, as the IJB protocols pool them.

    A video of a thousand frames should not outweigh a photograph: with ``media`` the frames of a
    medium are averaged first, then the media of a template. That is the protocol; the sum over the
    media points the same way as their mean, and distances scale both to length one.

    Published figures mostly add one of three habits, insightface's N, D and F: the lengths of the
    embeddings are kept as a sign of quality (``normalize=False``), each is multiplied by the
    detector's score (``weights``), and the embedding of the mirrored image is added to each
    before it is given here.

    Args:
        embeddings: floating ``[N, D]``; a memory-mapped array is read some rows at a time.
        templates: the template of each row; integers or strings.
        media: the medium (picture or video) of each row; rows of one template and one medium are
            averaged first. None: every row counts alike.
        weights: numbers of at least 0 ``[N]``, with which rows are multiplied; what is divided by
            stays their count. None: 1 for each.
        normalize: scale every embedding to length one before it is averaged.

    Returns:
        Means, in float64 for the sum and in the embeddings' working dtype, and their names.

    Raises:
        ValueError: numbers that do not agree, NaN embeddings, weights that are negative or NaN.
        TypeError: embeddings that are not floating.

    Example:
        >>> x = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> mean_templates(x, ["b", "b", "a"]).embeddings
        tensor([[0.0000, 1.0000],
                [0.5000, 0.5000]])

    Reference:
        Whitelam et al., "IARPA Janus Benchmark-B Face Dataset" (2017), section 4.
    """
    rows = Rows(embeddings, DISTANCE)
    template, names = numbered(templates, "templates", count=len(rows))
    share = _shares(template)
    if media is not None:
        medium = numbered(media, "media", count=len(rows)).numbers
        group = numbered(template * (int(medium.max(initial=0)) + 1) + medium).numbers
        first = np.unique(group, return_index=True)[1]
        share = _shares(group) * _shares(template[first])[group]
    weight = torch.from_numpy(share).to(rows.device)
    if weights is not None:
        weight *= _checked_weights(weights, rows)
    index = torch.from_numpy(template).to(rows.device)
    means = torch.zeros(len(names), rows.dim, dtype=torch.float64, device=rows.device)
    for part in rows.stretches():
        x = rows.raw(part).double()
        x = unit_rows(x) if normalize else x
        means.index_add_(0, index[part], x * weight[part, None])
    return Templates(means.to(rows.dtype), names)


def _shares(group: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What each counts in the mean of its group: 1 through their number."""
    share: npt.NDArray[np.float64] = (1 / np.bincount(group).clip(min=1))[group]
    return share


def _checked_weights(weights: Weights, rows: Rows) -> Tensor:
    """Weights as float64 ``[N]`` where the rows are."""
    try:
        found = torch.as_tensor(weights)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"weights must be numbers, one for each row: {error}") from error
    if found.dtype == torch.bool or found.is_complex():
        raise TypeError(f"weights must be numbers, got {found.dtype}")
    if found.shape != (len(rows),):
        raise ValueError(f"{len(rows)} embeddings came with weights of shape {tuple(found.shape)}")
    wrong = ~((found >= 0) & (found < torch.inf))
    if wrong.any():
        first = int(wrong.int().argmax())
        raise ValueError(
            f"weights must be 0 or above and finite, got {found[first]} in row {first}"
        )
    return found.detach().to(rows.device, torch.float64)
