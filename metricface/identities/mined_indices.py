"""Whether mined indices fit the rows they count."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from metricface.refusals import below
from metricface.types import Pairs, Triplets, index_vectors


def check_indices(
    indices: Sequence[Tensor], embeddings: Tensor, ref_emb: Tensor | None = None
) -> list[Tensor]:
    """The index vectors as int64, all of them rows that are there.

    On an accelerator they are looked at only while
    :class:`~metricface.embeddings.set_finite_check` is on, and as that says.

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
    for place, (name, vector) in enumerate(zip(names, vectors, strict=True)):
        of_batch = ref_emb is None or name.startswith("anchor")
        rows = len(embeddings) if of_batch or ref_emb is None else len(ref_emb)
        if vector.device.type == "cpu" and _all_below(vector, rows):
            continue
        counted = "embeddings have" if of_batch else "ref_emb has"
        vectors[place] = below(vector, rows, partial(_no_row, name, counted, rows))
    return vectors


def _all_below(vector: Tensor, rows: int) -> bool:
    """Whether all is well, seen in one pass; which is not takes several to say."""
    if not len(vector):
        return True
    low, high = torch.stack(vector.aminmax()).tolist()
    return bool(low >= 0 and high < rows)


def _no_row(name: str, counted: str, rows: int, place: int, index: float) -> ValueError:
    return ValueError(
        f"{name} holds {index} in place {place}, but {counted} {rows} rows"
        + (f", 0 to {rows - 1}" if rows else "")
    )
