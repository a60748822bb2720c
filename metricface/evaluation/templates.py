"""Several pictures of one subject as one embedding."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances.unit_rows import unit_rows
from metricface.embeddings import working_dtype
from metricface.evaluation.given import embedding_matrix
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
        embeddings: floating ``[N, D]``.
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
    x = embedding_matrix(embeddings)
    template, names = numbered(templates, "templates", count=len(x))
    values = unit_rows(x.double()) if normalize else x.double()
    if media is not None:
        medium = numbered(media, "media", count=len(x)).numbers
        both, group = np.unique(np.stack([template, medium]), axis=1, return_inverse=True)
        values, template = _means(values, group.reshape(-1)), both[0]
    dtype = working_dtype(x)
    return Templates(_means(values, template).to(dtype), names)


def _means(values: Tensor, group: npt.NDArray[np.int64]) -> Tensor:
    """Mean of the rows of each group ``[G, D]``."""
    index = torch.from_numpy(group.astype(np.int64)).to(values.device)
    count = torch.bincount(index)
    total = values.new_zeros(len(count), values.shape[1]).index_add_(0, index, values)
    return total / count[:, None]
