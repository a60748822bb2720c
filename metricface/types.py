"""The values that travel between the parts: index tuples and labels."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Subset

Labels: TypeAlias = "Tensor | npt.NDArray[Any] | Sequence[int] | Sequence[str]"
"""One identity per sample: integers or strings, as a tensor, array, list or pandas Series."""

Embeddings: TypeAlias = "Tensor | npt.NDArray[Any]"
"""One row per sample, ``[N, D]``, of any floating dtype: a tensor on any device, an array, or a
memory-mapped array."""

Reduction: TypeAlias = Literal["mean", "nonzero", "sum", "none"]
"""How per-term losses become one number; ``nonzero`` averages over the active terms only."""


class Triplets(NamedTuple):
    """Index triplets, each int64 ``[T]``.

    ``anchor`` counts rows of the batch; ``positive`` and ``negative`` count rows of the
    references, which are the batch itself unless others were given. To any code that expects
    a plain 3-tuple it is one.

    Example:
        >>> t = Triplets(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([2, 2]))
        >>> len(t.anchor)
        2
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Pairs(NamedTuple):
    """Index pairs: ``M`` positive pairs and, independently, ``T`` negative pairs, each int64.

    Anchors count rows of the batch, the others rows of the references. To any code that
    expects a plain 4-tuple it is one.

    Example:
        >>> one = torch.tensor([0])
        >>> Pairs(one, one + 1, one, one + 2).negative
        tensor([2])
    """

    anchor_pos: Tensor
    positive: Tensor
    anchor_neg: Tensor
    negative: Tensor


def as_triplets(indices: Sequence[Tensor]) -> Triplets:
    """Triplets from triplets (3 tensors) or from pairs (4 tensors).

    Pairs are joined on their anchor: every positive pair meets every negative pair of the same
    anchor, as pytorch-metric-learning does.

    Args:
        indices: a :class:`Triplets`, a :class:`Pairs`, or a plain tuple of 3 or 4 int64 vectors.

    Raises:
        ValueError: another number of tensors, or lengths that do not agree.
        TypeError: not integer index tensors.

    Example:
        >>> t = torch.tensor
        >>> as_triplets((t([0, 1]), t([1, 0]), t([0, 0]), t([2, 3])))
        Triplets(anchor=tensor([0, 0]), positive=tensor([1, 1]), negative=tensor([2, 3]))
    """
    checked = index_vectors(indices)
    if len(checked) == 3:
        return Triplets(*checked)
    anchor_pos, positive, anchor_neg, negative = checked
    order = torch.argsort(anchor_neg, stable=True)
    sorted_anchors = anchor_neg[order]
    first = torch.searchsorted(sorted_anchors, anchor_pos)
    count = torch.searchsorted(sorted_anchors, anchor_pos, right=True) - first
    pair, within = ragged(count)
    return Triplets(anchor_pos[pair], positive[pair], negative[order[first[pair] + within]])


def as_pairs(indices: Sequence[Tensor]) -> Pairs:
    """Pairs from pairs (4 tensors) or from triplets (3 tensors).

    A triplet gives the positive pair (a, p) and the negative pair (a, n); a pair that stands in
    several triplets is kept as often, as pytorch-metric-learning does.

    Args:
        indices: a :class:`Triplets`, a :class:`Pairs`, or a plain tuple of 3 or 4 int64 vectors.

    Raises:
        ValueError: another number of tensors, or lengths that do not agree.
        TypeError: not integer index tensors.

    Example:
        >>> t = torch.tensor
        >>> as_pairs((t([0]), t([1]), t([2]))).anchor_neg
        tensor([0])
    """
    checked = index_vectors(indices)
    if len(checked) == 4:
        return Pairs(*checked)
    anchor, positive, negative = checked
    return Pairs(anchor, positive, anchor, negative)


def ragged(count: Tensor, total: int | None = None) -> tuple[Tensor, Tensor]:
    """Row and place within the row for every item of a ragged list.

    Args:
        count: items per row, int64 ``[B]``.
        total: their sum, where the host knows it: on an accelerator it waits for it otherwise.

    Returns:
        ``row`` and ``within``, int64 ``[sum(count)]``, in row order.

    Example:
        >>> ragged(torch.tensor([2, 0, 1]))
        (tensor([0, 0, 2]), tensor([0, 1, 0]))
    """
    row = torch.repeat_interleave(count, output_size=total)
    start = torch.cumsum(count, 0) - count
    return row, torch.arange(len(row), device=count.device) - start[row]


def labels_of(data: object) -> Labels | None:
    """What a dataset says its labels are: ``.labels``, or ``.targets`` as torchvision calls them.

    Of a ``torch.utils.data.Subset`` those of its items. Where it has both, those that are as
    many as its items: one of them may be the names of its classes.

    Returns:
        One label per item, or None where the dataset does not say.

    Raises:
        ValueError: labels for another number of items, as where a part shows those of the whole.

    Example:
        >>> from types import SimpleNamespace
        >>> labels_of(SimpleNamespace(targets=[3, 3, 5]))
        [3, 3, 5]
    """
    said = {name: getattr(data, name, None) for name in ("labels", "targets")}
    told = {name: labels for name, labels in said.items() if labels is not None}
    items = len(data) if isinstance(data, Sized) else None
    for labels in told.values():
        if items is None or not isinstance(labels, Sized) or len(labels) == items:
            found: Labels = labels
            return found
    if told:
        name, labels = next(iter(told.items()))
        raise ValueError(
            f"{type(data).__name__} has {items} items, but its .{name} are {len(labels)}: "
            "there must be one label for each item"
        )
    if isinstance(data, Subset) and (whole := labels_of(data.dataset)) is not None:
        return label_array(whole)[np.asarray(data.indices, dtype=np.int64)]
    return None


def label_array(labels: Labels, name: str = "labels") -> npt.NDArray[Any]:
    """Labels as a one-dimensional numpy array of integers or strings.

    Args:
        labels: integers or strings, in a tensor, array, list, tuple or pandas Series.
        name: what to call them in an error.

    Returns:
        Array ``[N]`` with an integer or a string dtype; big Python integers stay exact.

    Raises:
        TypeError: labels are neither integers nor strings.
        ValueError: labels are not one-dimensional.

    Example:
        >>> label_array(["anna", "ben"]).tolist()
        ['anna', 'ben']
    """
    if labels is None:
        raise TypeError(f"{name} must be integers or strings, got None")
    if isinstance(labels, list | tuple):
        if labels and all(isinstance(each, Tensor) and each.ndim for each in labels):
            raise TypeError(
                f"{name} must be integers or strings, got {len(labels)} tensors; "
                "mined indices come after the labels"
            )
        array = np.array(labels, dtype=object)
        if array.size == 0:
            array = array.astype(np.int64)
    else:
        array = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if array.ndim != 1:
        column = f": {name}.squeeze(1) makes them so" if array.shape[1:] == (1,) else ""
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}{column}")
    if array.dtype.kind == "O":
        kinds = {type(value) for value in array.tolist()}
        if all(issubclass(kind, str) for kind in kinds):
            return array.astype(str)
        if all(issubclass(kind, int | np.integer) for kind in kinds):
            return _integers(array)
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"{name} must be all integers or all strings, got {found}")
    if array.dtype.kind not in "biuUS":
        raise TypeError(f"{name} must be integers or strings, got dtype {array.dtype}")
    return array


class Numbered(NamedTuple):
    """Identities by number: whose each sample is, and what each is called."""

    numbers: npt.NDArray[np.int64]
    """The number of each sample's identity, ``[N]``."""
    names: npt.NDArray[Any]
    """The label of each identity, in their sorted order, ``[C]``."""


def numbered(
    labels: Labels, name: str = "labels", *, count: int | None = None, of: str = "embeddings"
) -> Numbered:
    """Identities numbered 0 to C − 1 in the sorted order of their labels.

    Args:
        labels: ``[N]``, integers or strings.
        name: what to call them in an error.
        count: how many there have to be; None for any number.
        of: what there are as many of, for an error.

    Raises:
        TypeError: labels are neither integers nor strings.
        ValueError: labels are not one-dimensional, or another number than ``count``.

    Example:
        >>> numbered(["ben", "anna", "ben"])
        Numbered(numbers=array([1, 0, 1]), names=array(['anna', 'ben'], dtype='<U4'))
    """
    array = label_array(labels, name)
    if count is not None and len(array) != count:
        raise ValueError(f"{count} {of} came with {len(array)} {name}")
    names, numbers = np.unique(array, return_inverse=True)
    return Numbered(numbers.reshape(-1).astype(np.int64), names)


def _integers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Python integers as int64 where they fit; else left as objects, which compare exactly."""
    try:
        return array.astype(np.int64)
    except OverflowError:
        return array


def index_vectors(indices: object) -> list[Tensor]:
    """The vectors of triplets or pairs as int64, or an error that says what arrived.

    Example:
        >>> index_vectors(torch.zeros(6, 8))
        Traceback (most recent call last):
        ...
        TypeError: indices must be a tuple of 3 or 4 index vectors, got one Tensor of shape (6, 8)
    """
    if isinstance(indices, Tensor) or not isinstance(indices, Sequence):
        shape = f" of shape {tuple(indices.shape)}" if isinstance(indices, Tensor) else ""
        raise TypeError(
            "indices must be a tuple of 3 or 4 index vectors, "
            f"got {'one ' if shape else ''}{type(indices).__name__}{shape}"
        )
    vectors = list(indices)
    if len(vectors) not in (3, 4):
        raise ValueError(
            "indices must be triplets (anchor, positive, negative) or pairs "
            f"(anchor_pos, positive, anchor_neg, negative), got {len(vectors)} tensors"
        )
    for vector in vectors:
        if not isinstance(vector, Tensor):
            raise TypeError(f"indices must be tensors, got {type(vector).__name__}")
        if vector.is_floating_point() or vector.is_complex() or vector.dtype == torch.bool:
            raise TypeError(f"indices must be integers, got {vector.dtype}")
        if vector.ndim != 1:
            raise ValueError(f"indices must be vectors, got shape {tuple(vector.shape)}")
    together = [vectors] if len(vectors) == 3 else [vectors[:2], vectors[2:]]
    for group in together:
        if len({len(vector) for vector in group}) > 1:
            lengths = [len(vector) for vector in vectors]
            raise ValueError(f"index vectors of one triplet or pair differ in length: {lengths}")
    return [vector.long().contiguous() for vector in vectors]
