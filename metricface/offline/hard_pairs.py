"""FaceNet's offline mining: the hardest pairs of the whole set."""

from __future__ import annotations

import torch

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.rows import Rows
from metricface.distributed.together import Together
from metricface.given import as_count
from metricface.offline.impostors import Index, nearest_impostors
from metricface.offline.neighbours import Neighbours
from metricface.offline.positives import positives as positives_of
from metricface.types import Embeddings, Labels, Pairs, numbered


def hard_pairs(
    embeddings: Embeddings,
    labels: Labels,
    *,
    positives: int = 1,
    negatives: int = 1,
    index: Index = "exact",
    distance: Distance | None = None,
    near_duplicate: float | None = None,
    margin: tuple[float, float] | None = None,
    relative_margin: float | None = None,
    effort: int | None = None,
    progress: bool = False,
    across_ranks: bool = False,
) -> Pairs:
    """The hardest positives and negatives of every sample, over the whole set.

    ::

        positive = argmax D(a, p),    negative = argmin D(a, n)

    FaceNet did this every n steps on a subset, with the latest checkpoint. The indices count rows
    of the embeddings; :func:`metricface.types.as_triplets` joins pairs on their anchors. The few
    hardest of the whole set, to look at, are
    :func:`metricface.evaluation.hardest_pairs`.

    Args:
        embeddings: floating ``[N, D]``; may be memory-mapped.
        labels: one identity per row; integers or strings.
        positives: how many of each anchor's farthest positives, at least 1.
        negatives: how many of its nearest negatives, at least 1.
        index: how negatives are sought; positives are always exact.
        distance: what is measured; squared Euclidean of normalised embeddings if None.
        near_duplicate: as in :func:`nearest_impostors`.
        margin: as in :func:`nearest_impostors`.
        relative_margin: as in :func:`nearest_impostors`.
        effort: as in :func:`nearest_impostors`.
        progress: show a bar; needs tqdm.
        across_ranks: as in :func:`nearest_impostors`.

    Returns:
        Pairs by anchor, the hardest of each first. Anchors without positives have negative pairs
        only.

    Raises:
        ValueError: counts below 1, and as :func:`nearest_impostors`.
        TypeError: as :func:`nearest_impostors`.
        ImportError: FAISS or tqdm is wanted and missing.

    Example:
        >>> import numpy as np
        >>> from metricface.types import as_triplets
        >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.3]])
        >>> as_triplets(hard_pairs(x, ["anna", "anna", "ben"])).negative
        tensor([2, 2])

    Reference:
        Schroff et al., "FaceNet", CVPR 2015, section 3.2.
    """
    with Together(across_ranks) as together:
        positives = as_count("positives", positives)
        negatives = as_count("negatives", negatives)
        distance = SquaredEuclidean() if distance is None else distance
        rows = Rows(embeddings, distance)
        codes = torch.from_numpy(numbered(labels, count=len(rows)).numbers)
        together.agree({**rows.facts(), "labels": codes, "positives": positives})
        own = positives_of(
            rows,
            codes,
            torch.arange(len(rows)),
            positives,
            distance,
            farthest=True,
            progress=progress and together.rank == 0,
            together=together,
        )
    impostors = nearest_impostors(
        embeddings,
        labels,
        negatives,
        index=index,
        distance=distance,
        near_duplicate=near_duplicate,
        margin=margin,
        relative_margin=relative_margin,
        effort=effort,
        progress=progress,
        across_ranks=across_ranks,
    )
    return Pairs(*_listed(own), *_listed(impostors))


def _listed(found: Neighbours) -> tuple[torch.Tensor, torch.Tensor]:
    """Anchors and neighbours as two vectors, without the places that stayed empty."""
    indices = torch.from_numpy(found.indices)
    anchor, place = (indices >= 0).nonzero(as_tuple=True)
    return anchor, indices[anchor, place]
