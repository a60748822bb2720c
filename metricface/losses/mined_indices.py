"""Whether mined indices fit the rows they count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metricface.embeddings import may_look
from metricface.types import Pairs, Triplets, index_vectors


def check_indices(
    indices: Sequence[Tensor], embeddings: Tensor, ref_emb: Tensor | None = None
) -> list[Tensor]:
    """The index vectors as int64, all of them rows that are there.

    On an accelerator the host has to wait for the smallest and the largest, so there they are
    looked at only while :class:`~metricface.embeddings.set_finite_check` is on.

    Args:
        indices: triplets or pairs, as tensors.
        embeddings: ``[B, D]``, what anchors count.
        ref_emb: ``[R, D]``, what the others count; the embeddings if None.

    Returns:
        3 or 4 vectors.

    Raises:
        TypeError: not integer index tensors.
        ValueError: another number of tensors, lengths or devices that do not agree, an index
            below 0 or beyond the last row.

    Example:
        >>> one = torch.tensor([1])
        >>> check_indices((one, one - 1, one + 1), torch.zeros(2, 8))
        Traceback (most recent call last):
        ...
        ValueError: negative holds 2 in place 0, but embeddings have 2 rows, 0 to 1
    """
    vectors = index_vectors(indices)
    names = Triplets._fields if len(vectors) == 3 else Pairs._fields
    for vector in vectors:
        if vector.device != embeddings.device:
            raise ValueError(f"indices are on {vector.device}, embeddings on {embeddings.device}")
    filled = [(n, v) for n, v in zip(names, vectors, strict=True) if len(v)]
    if not filled or not may_look(embeddings):
        return vectors
    bounds = torch.stack([bound for _, vector in filled for bound in vector.aminmax()]).tolist()
    for (name, vector), low, high in zip(filled, bounds[::2], bounds[1::2], strict=True):
        of_batch = ref_emb is None or name.startswith("anchor")
        rows = len(embeddings) if of_batch or ref_emb is None else len(ref_emb)
        if low < 0 or high >= rows:
            place = int(((vector < 0) | (vector >= rows)).nonzero()[0])
            counted = "embeddings have" if of_batch else "ref_emb has"
            raise ValueError(
                f"{name} holds {int(vector[place])} in place {place}, but {counted} {rows} rows"
                + (f", 0 to {rows - 1}" if rows else "")
            )
    return vectors
