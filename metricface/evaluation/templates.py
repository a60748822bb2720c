"""Several pictures of one subject as one embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances.rows import Rows
from metricface.distances.unit_rows import unit_rows
from metricface.evaluation.given import DISTANCE
from metricface.types import Embeddings, Labels, numbered


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
    normalize: bool = True,
) -> Templates:
    """The mean embedding of each template, as the IJB protocols pool them.

    A video of a thousand frames should not outweigh a photograph: with ``media`` the frames of a
    medium are averaged first, then the media of a template.

    Args:
        embeddings: floating ``[N, D]``; a memory-mapped array is read some rows at a time.
        templates: the template of each row; integers or strings.
        media: the medium (picture or video) of each row; rows of one template and one medium are
            averaged first. None: every row counts alike.
        normalize: scale every embedding to length one before it is averaged.

    Returns:
        Means, in float64 for the sum and in the embeddings' working dtype, and their names.

    Raises:
        ValueError: numbers that do not agree, NaN embeddings.
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
    group, of_group = template, np.arange(len(names))
    if media is not None:
        medium = numbered(media, "media", count=len(rows)).numbers
        both, place = np.unique(np.stack([template, medium]), axis=1, return_inverse=True)
        group, of_group = place.reshape(-1).astype(np.int64), both[0]
    read = ((rows.raw(part).double(), group[part]) for part in rows.stretches())
    scaled = ((unit_rows(x) if normalize else x, of) for x, of in read)
    means = _means(scaled, rows, len(of_group))
    means = _means([(means, of_group)], rows, len(names))
    return Templates(means.to(rows.dtype), names)


def _means(
    parts: Iterable[tuple[Tensor, npt.NDArray[np.int64]]], rows: Rows, groups: int
) -> Tensor:
    """Mean of the rows of each group ``[G, D]``, from some rows and their groups at a time."""
    total = torch.zeros(groups, rows.dim, dtype=torch.float64, device=rows.device)
    count = torch.zeros(groups, dtype=torch.int64, device=rows.device)
    for values, group in parts:
        index = torch.from_numpy(group).to(rows.device)
        total.index_add_(0, index, values)
        count += torch.bincount(index, minlength=groups)
    return total / count[:, None]
