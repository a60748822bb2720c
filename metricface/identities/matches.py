"""Positives, negatives and the same sample, for any block of anchors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from metricface.identities.match_block import MatchBlock
from metricface.identities.relations import Groups, Mask, is_matrix
from metricface.types import Labels, label_array

_LISTED = 6 * 8  # bytes that each entry of a block's lists takes while they are made


class Samples(Protocol):
    """What is matched, of which only the number and the device matter: embeddings, say."""

    @property
    def device(self) -> torch.device:
        """Where they are."""

    def __len__(self) -> int:
        """How many there are."""


class Matches:
    """Which of R references has the identity of which of B anchors.

    A reference is a **positive** of an anchor if it has the same identity and is another
    sample, a **negative** if it has another identity, and neither if it is the same sample.
    Samples are told apart by ``ids``; without references and ids, by their row. So the same
    image met twice, in the batch, in a memory or from another process, is never its own
    positive or negative. Without ids nothing is known of how references relate to the batch,
    and none is left out.

    From labels only compact lists are made, never a mask of size B×R.

    Args:
        labels: ``[B]`` integers (any dtype, compared exactly) or strings; or a boolean matrix
            ``[B, R]``, True where the pair belongs together.
        ref_labels: ``[R]``; the anchors themselves if None. Not with a matrix.
        ids: ``[B]`` integers, the samples' indices in the data set.
        ref_ids: ``[R]``; with references, both or neither.
        itself: whether the references are the batch itself; by default, where labels stand
            alone.
        device: where the index tensors are wanted; the labels' own device by default. Labels of
            the host are matched there, which spares an accelerator's being waited for.

    Raises:
        TypeError: labels that are neither integers nor strings, or ids that are not integers.
        ValueError: numbers of labels, ids and references that do not agree.

    Example:
        >>> block = Matches(["anna", "ben", "anna"]).block()
        >>> block.anchor, block.positive
        (tensor([0, 2]), tensor([2, 0]))
    """

    def __init__(
        self,
        labels: Labels,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
        itself: bool | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._identity: Mask | Groups
        masked = is_matrix(labels)
        if masked and ref_labels is not None:
            raise ValueError("ref_labels cannot stand beside a match matrix")
        self._device, made = _devices((labels, ref_labels, ids, ref_ids), device)
        if masked:
            self._identity = Mask.of(labels, made)
        else:
            self._identity = Groups.of(labels, ref_labels, "labels", made)
        self._on_host = made.type == "cpu"
        self.shape = self._identity.shape
        alone = ref_labels is None and not masked
        self._itself = alone if itself is None else itself
        if self._itself and self.shape[0] != self.shape[1]:
            raise ValueError(f"without references a match matrix is square, got {self.shape}")
        self._sample = self._samples(ids, ref_ids, made)

    @classmethod
    def of(
        cls,
        embeddings: Samples,
        labels: Labels,
        ref_emb: Samples | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> Matches:
        """Matches from the arguments that every miner and loss takes, checked against them.

        Args:
            embeddings: ``[B, D]``; only their number and device are looked at.
            labels: ``[B]``, or a boolean matrix ``[B, R]``.
            ref_emb: ``[R, D]``, or None for the batch itself. Without ids, ``embeddings`` once
                more is the batch itself as well, as pytorch-metric-learning has it.
            ref_labels: ``[R]`` with ref_emb, unless labels is a matrix.
            ids: ``[B]``.
            ref_ids: ``[R]``.

        Raises:
            ValueError: numbers of embeddings, labels and ids that do not agree; other ref_labels
                than labels where the references are the batch itself.

        Example:
            >>> Matches.of(torch.zeros(2, 8), [0, 1, 1])
            Traceback (most recent call last):
            ...
            ValueError: 2 embeddings came with 3 labels
        """
        masked = is_matrix(labels)
        if ref_emb is None and (ref_labels is not None or ref_ids is not None):
            raise ValueError("ref_labels and ref_ids need ref_emb")
        if ref_emb is not None and ref_labels is None and not masked:
            raise ValueError("ref_emb needs ref_labels (or a boolean match matrix as labels)")
        matches = cls(
            labels,
            ref_labels,
            ids=ids,
            ref_ids=ref_ids,
            itself=ref_emb is None,
            device=embeddings.device,
        )
        expected = (len(embeddings), len(embeddings if ref_emb is None else ref_emb))
        if masked and matches.shape != expected:
            raise ValueError(f"the match matrix must be {expected}, got {matches.shape}")
        if matches.shape[0] != expected[0]:
            raise ValueError(f"{expected[0]} embeddings came with {matches.shape[0]} labels")
        if matches.shape[1] != expected[1]:
            raise ValueError(f"{expected[1]} ref_emb came with {matches.shape[1]} ref_labels")
        if ref_emb is embeddings and ids is None:
            if not masked and ref_labels is not labels and not _equal(labels, ref_labels):
                raise ValueError("ref_emb is the batch itself, but ref_labels are not its labels")
            return cls.of(embeddings, labels)
        return matches

    def block(self, start: int = 0, stop: int | None = None) -> MatchBlock:
        """Who matches whom for the anchors ``start … stop``; for all of them by default.

        Args:
            start: first batch row of the block.
            stop: one past its last.

        Returns:
            The compact lists, made for these anchors only.

        Example:
            >>> Matches([7, 8, 7], ids=[0, 1, 0]).block().positive  # the same image twice
            tensor([], dtype=torch.int64)
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        shape = (stop - start, self.shape[1])
        count = self._counts[0][start:stop]
        row, column = self._identity.entries(start, stop, self._total(count))
        if self._sample is None and not self._itself:
            every = row, column
            return MatchBlock(start, shape, self._device, every, every, (count, 0, 0))
        if self._sample is None:
            other = places(column != row + start, self._total(count - 1))
            pairs = row[other], column[other]
            return MatchBlock(start, shape, self._device, (row, column), pairs, (count, 1, 1))
        own, shared = (each[start:stop] for each in self._counts[1:])
        other = places(~self._sample.equal(row + start, column), self._total(count - shared))
        pairs = row[other], column[other]
        if unlisted := int((own - shared).sum()):
            own_entries = self._sample.entries(start, stop, self._total(own))
            row, column = self._with_unlisted(row, column, start, own_entries, unlisted)
        return MatchBlock(start, shape, self._device, (row, column), pairs, (count, own, shared))

    def max_positives(self) -> int:
        """Most references of one anchor's identity: about the entries it has in a block's lists."""
        return int(self._counts[0].max()) if self.shape[0] else 0

    def blocks(
        self, within: int, *, per_reference: int, per_positive: int = 0
    ) -> Iterator[tuple[int, int]]:
        """Starts and stops of blocks of anchors whose arrays fit into a budget, in bytes.

        Args:
            within: the budget; an anchor that is alone too large for it is a block.
            per_reference: bytes that an anchor takes for each reference.
            per_positive: bytes that it takes for each positive, beside those of the lists.

        Example:
            >>> list(Matches([0, 1, 2]).blocks(150, per_reference=8))
            [(0, 2), (2, 3)]
        """
        row = per_reference * self.shape[1] + (_LISTED + per_positive) * self.max_positives()
        most = max(1, within // max(1, row))
        anchors = self.shape[0] if self.shape[1] else 0
        # Of one size, rather than with a small one at the end.
        step = max(1, -(-anchors // max(1, -(-anchors // most))))
        return ((start, min(start + step, anchors)) for start in range(0, anchors, step))

    @cached_property
    def _counts(self) -> tuple[Tensor, ...]:
        """References of each anchor's identity, and of its sample and of both where these are told.

        ``[B]`` each, on the host. They tell how long all lists are, so an accelerator is waited for
        only once.
        """
        count = self._identity.count
        if self._sample is None:
            return (count.cpu(),)
        both = self._identity.count_with(self._sample)
        return torch.stack([count, self._sample.count, both]).cpu().unbind()

    def _total(self, count: Tensor) -> int | None:
        """How long a list will be; None on the host, which may as well see when it is made."""
        return None if self._on_host else int(count.sum())

    def _samples(
        self, ids: Labels | None, ref_ids: Labels | None, device: torch.device
    ) -> Groups | None:
        """Which reference is the same sample as which anchor, if more than the row tells."""
        if self._itself:
            if ref_ids is not None:
                raise ValueError("ref_ids need references")
            if ids is None and isinstance(self._identity, Groups):
                return None
            known = torch.arange(self.shape[0], device=device) if ids is None else ids
            groups = Groups.of(known, None, "ids", device)
        elif ids is None and ref_ids is None:
            return None
        elif ids is None or ref_ids is None:
            missing = "ids" if ids is None else "ref_ids"
            raise ValueError(f"with references, ids and ref_ids come together; {missing} is None")
        else:
            groups = Groups.of(ids, ref_ids, "ids", device)
        if groups.shape != self.shape:
            raise ValueError(f"ids must be as many as labels, {self.shape}, got {groups.shape}")
        return groups

    def _with_unlisted(
        self, row: Tensor, column: Tensor, start: int, own: tuple[Tensor, Tensor], count: int
    ) -> tuple[Tensor, Tensor]:
        """The list with those entries added that are the same sample under another identity."""
        own_row, own_column = own
        unlisted = places(~self._identity.equal(own_row + start, own_column), count)
        width = self.shape[1]
        flat = torch.cat([row * width + column, (own_row * width + own_column)[unlisted]])
        flat = flat.sort().values
        return flat // width, flat % width


def places(mask: Tensor, total: int | None = None) -> Tensor:
    """Where a mask holds, int64, rising.

    Args:
        mask: booleans ``[N]``.
        total: how often it holds, where the host knows it: on an accelerator it waits otherwise.

    Example:
        >>> places(torch.tensor([True, False, True]))
        tensor([0, 2])
    """
    if total is None or mask.device.type == "cpu":
        return mask.nonzero().squeeze(1)
    return (~mask).argsort(stable=True)[:total]


def _equal(labels: Labels, others: Labels | None) -> bool:
    return others is not None and np.array_equal(label_array(labels), label_array(others))


def _devices(
    values: Sequence[Labels | None], device: torch.device | None
) -> tuple[torch.device, torch.device]:
    """Where the lists are wanted, and where to make them: where labels and ids lie.

    Lists that are made on the host are sent to an accelerator without a wait. But labels that
    lie there the host would have to wait for, and a memory may hold very many.
    """
    host = torch.device("cpu")
    lie = [value.device for value in values if isinstance(value, Tensor)]
    wanted = device or (lie[0] if lie else host)
    return wanted, host if all(place.type == "cpu" for place in lie) else wanted
