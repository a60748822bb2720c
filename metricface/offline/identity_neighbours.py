"""Which identities look alike: what a sampler of hard identities needs."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.rows import Rows
from metricface.distributed.together import Together
from metricface.given import as_count
from metricface.offline.impostors import Index, nearest_impostors
from metricface.offline.neighbours import Neighbours
from metricface.types import Embeddings, Labels, numbered

By: TypeAlias = Literal["mean", "sample", "closest"]
"""What tells how alike two identities are: the means of their embeddings, a random embedding of
each, or the two that are nearest."""

_READ = 1 << 16  # rows read at a time


def identity_neighbours(
    embeddings: Embeddings,
    labels: Labels,
    k: int,
    *,
    by: By = "mean",
    index: Index = "exact",
    distance: Distance | None = None,
    effort: int | None = None,
    seed: int = 0,
    progress: bool = False,
    across_ranks: bool = False,
) -> npt.NDArray[np.int64]:
    """The k identities that look most like each, as ``HardIdentitySampler`` takes them.

    Args:
        embeddings: floating ``[N, D]``; may be memory-mapped.
        labels: one identity per row; integers or strings.
        k: how many look-alikes, at least 1.
        by: ``"mean"`` compares mean embeddings (normalised first where the distance does so),
            ``"sample"`` one random sample of each identity, as Graph Sampling does;
            ``"closest"`` mines images: whose are the k nearest impostors of each image of the
            identity? It compares all images with all, where the others compare one with one.
        index: how they are sought; see :func:`nearest_impostors`.
        distance: what is measured; squared Euclidean of normalised embeddings if None.
        effort: as in :func:`nearest_impostors`.
        seed: of the random samples.
        progress: show a bar; needs tqdm.
        across_ranks: as in :func:`nearest_impostors`.

    Returns:
        int64 ``[C, k]``, nearest first; rows and entries are numbers of identities in the sorted
        order of the labels; -1 where there are fewer than k others. By the closest images, of
        equally near identities the smaller number comes first.

    Raises:
        ValueError: another ``by``, and as :func:`nearest_impostors`.
        TypeError: as :func:`nearest_impostors`.
        ImportError: FAISS or tqdm is wanted and missing.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.2], [0.1, 0.9]])
        >>> identity_neighbours(x, ["anna", "ben", "carl", "dora"], 1).ravel()
        array([2, 3, 0, 1])

    Reference:
        Liao, Shao: Graph Sampling Based Deep Metric Learning for Generalizable Person
        Re-Identification (2022), section 3.
    """
    with Together(across_ranks) as together:
        if by not in get_args(By):
            raise ValueError(f"by must be 'mean', 'sample' or 'closest', got {by!r}")
        k, seed = as_count("k", k), as_count("seed", seed, 0)
        distance = SquaredEuclidean() if distance is None else distance
        rows = Rows(embeddings, distance)
        codes = torch.from_numpy(numbered(labels, count=len(rows)).numbers)
        together.agree({**rows.facts(), "labels": codes, "settings": (by, seed)})
        stand_in: Embeddings
        if by == "mean":
            # Of one rank, for all: an accelerator adds up in any order, and rounds as often.
            first = together.rank == 0
            stand_in = together.cat(_means(rows, codes) if first else rows.uncentred(slice(0, 0)))
            owner = torch.arange(len(stand_in))
        elif by == "sample":
            shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
            order = shuffled[codes[shuffled].argsort(stable=True)]
            count = codes.bincount()
            stand_in = rows.raw(order[count.cumsum(0) - count])
            owner = torch.arange(len(stand_in))
        else:
            stand_in, owner = embeddings, codes
    found = nearest_impostors(
        stand_in,
        owner,
        k,
        index=index,
        distance=distance,
        effort=effort,
        progress=progress,
        across_ranks=across_ranks,
    )
    return _owners(found, owner.numpy(), k) if by == "closest" else found.indices


def _owners(found: Neighbours, identity: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Whose the impostors of each identity's images are, each once, the nearest k, ``[C, k]``."""
    row, column = np.nonzero(found.indices >= 0)
    own, other = identity[row], identity[found.indices[row, column]]
    order = np.lexsort((other, found.distances[row, column], own))
    own, other = own[order], other[order]
    first = np.sort(np.unique(own * len(identity) + other, return_index=True)[1])
    own, other = own[first], other[first]
    place = np.arange(len(own)) - np.searchsorted(own, own)
    nearest = place < k
    owners = np.full((identity.max() + 1, k), -1, dtype=np.int64)
    owners[own[nearest], place[nearest]] = other[nearest]
    return owners


def _means(rows: Rows, codes: Tensor) -> Tensor:
    """Mean embedding of each identity, summed in float64, ``[C, D]``."""
    count = codes.bincount()
    total = torch.zeros(len(count), rows.dim, dtype=torch.float64, device=rows.device)
    for start in range(0, len(rows), _READ):
        part = slice(start, start + _READ)
        total.index_add_(0, codes[part].to(rows.device), rows.uncentred(part).double())
    mean: Tensor = (total / count[:, None].to(rows.device)).to(rows.dtype)
    return mean
