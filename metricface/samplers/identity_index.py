"""Which images belong to which identity, as three flat arrays."""

from __future__ import annotations

import zlib
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from metricface.samplers.keyed_random import Ints
from metricface.types import Labels, label_array, labels_of, numbered

Short: TypeAlias = Literal["repeat", "skip", "error"]
"""What to do with an identity that has fewer than k images."""


LabelSource: TypeAlias = "Labels | Dataset[Any]"
"""One label per image, or a dataset that has them as ``.labels`` or ``.targets``."""


class IdentityIndex:
    """The images of every identity, grouped.

    Identities are numbered in the sorted order of their labels. Those that ``short`` leaves out
    have no number; :attr:`code` says which number each label in :attr:`names` has, or -1.

    Args:
        labels: identity of every image, ``[N]``, or a dataset that says them.
        k: images a batch takes of an identity.
        short: what to do with identities of fewer than ``k`` images.

    Raises:
        ValueError: no labels; ``short="error"`` and some identity has fewer than ``k``.
        TypeError: labels that are neither integers nor strings, a dataset that has none.

    Example:
        >>> index = IdentityIndex(["b", "a", "b"], k=2, short="skip")
        >>> index.names.tolist(), index.code.tolist(), index.images(np.array([0]), np.array([[1]]))
        (['a', 'b'], [-1, 0], array([[2]], dtype=int32))
    """

    def __init__(self, labels: LabelSource, k: int, short: Short) -> None:
        if short not in get_args(Short):
            raise ValueError(f"short must be 'repeat', 'skip' or 'error', got {short!r}")
        array = label_array(_told(labels))
        if len(array) == 0:
            raise ValueError("labels are empty: there is nothing to sample from")
        self.names: npt.NDArray[Any]
        of_image, self.names = numbered(array)
        self.order = _grouped(of_image, len(self.names))
        size = np.bincount(of_image, minlength=len(self.names))
        few = size < k
        if short == "error" and few.any():
            raise ValueError(_shortage(self.names[few], size[few], k))
        keep = ~few if short == "skip" else np.ones_like(few)
        self._size_of_all = size
        self.code: Ints = np.where(keep, np.cumsum(keep) - 1, -1)
        self.start = (np.cumsum(size) - size)[keep]
        self.size = size[keep]

    def __len__(self) -> int:
        """Number of identities that are sampled."""
        return len(self.size)

    def images(self, identity: Ints, place: Ints) -> Ints:
        """Dataset indices ``[M, k]`` of the images at ``place [M, k]`` of ``identity [M]``."""
        # transposed, because numpy is several times faster along a long last dimension
        images: Ints = self.order.take(self.start[identity] + place.T).T
        return images

    def of_images(self) -> Ints:
        """The number of the identity of every image, -1 where it is left out, ``[N]``."""
        identity = np.empty(len(self.order), dtype=np.int64)
        identity[self.order] = np.repeat(self.code, self._size_of_all)
        return identity

    def check_made_for(self, numbers: Ints) -> None:
        """As :meth:`~metricface.samplers.IdentitySampler.check_made_for`."""
        if len(self.order) > len(numbers):
            raise ValueError(
                f"the sampler was made for {len(self.order)} items, but the data has {len(numbers)}"
            )
        own = self.of_images()
        kept = np.flatnonzero(own >= 0)
        own, other = own[kept], numbers[kept]
        for one, two, whole in (
            (own, other, "to the sampler"),
            (other, own, "in the data"),
        ):
            of_each = np.zeros(one.max(initial=-1) + 1, dtype=np.int64)
            of_each[one] = np.arange(len(one))  # some image of each
            beside = of_each[one]
            apart = np.flatnonzero(two != two[beside])[:1]
            if len(apart):
                items = sorted([int(kept[apart[0]]), int(kept[beside[apart[0]]])])
                raise ValueError(
                    "the sampler was made for other labels than the data has: only "
                    f"{whole} items {items[0]} and {items[1]} are of one identity; make it "
                    "of the data's own labels, in their order"
                )

    def fingerprint(self) -> int:
        """A checksum that changes when the labels do."""
        sizes = self._size_of_all.astype("<i8").tobytes()
        return zlib.crc32(self.order.astype("<i8", copy=False).tobytes(), zlib.crc32(sizes))


def _told(labels: LabelSource) -> Labels:
    """The labels, of a dataset that was given in their place; asking for its items takes long.

    Raises:
        TypeError: a dataset that does not say them.
    """
    if not isinstance(labels, Dataset):
        return labels
    found = labels_of(labels)
    if found is None:
        raise TypeError(
            f"{type(labels).__name__} has neither .labels nor .targets: give the sampler one label "
            "for each item"
        )
    return found


def _grouped(code: Ints, count: int) -> Ints:
    """Image indices sorted by identity, in their own order within one.

    A radix sort, 16 bits at a time: linear in the number of images, and stable, so that every
    machine deals the same decks.
    """
    order = np.argsort((code & 0xFFFF).astype(np.uint16), kind="stable")
    if count > 1 << 16:
        order = order[np.argsort((code >> 16)[order].astype(np.uint16), kind="stable")]
    return order.astype(np.int32 if len(code) < 1 << 31 else np.int64)


def _shortage(names: npt.NDArray[Any], size: Ints, k: int) -> str:
    """The sentence that names the identities with too few images."""
    shown = ", ".join(f"{name!r} ({n})" for name, n in zip(names[:5].tolist(), size, strict=False))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        f"{len(names)} identities have fewer than k={k} images: {shown}{more}; "
        "short='repeat' or short='skip' accepts them"
    )
