"""Embeddings of past batches as references for the present one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from metricface.distances import Distance, Euclidean
from metricface.distances.given import check_distance
from metricface.eager import eager
from metricface.embeddings import check_embeddings
from metricface.given import as_count
from metricface.refusals import finite_check, refuse
from metricface.torch_func import remember
from metricface.transfers import sent


class Ring(nn.Module):
    """Buffers that keep the last ``size`` entries of a stream, each overwriting the oldest.

    The buffers are the member's own. ``pushed``, how many entries there ever were, tells where
    the next one goes; the member puts it into ``state_dict``.

    Example:
        >>> ring, kept = Ring(3), torch.zeros(3)
        >>> ring.write((kept, torch.tensor([1.0, 2.0])))
        >>> ring.write((kept, torch.tensor([3.0, 4.0])))
        >>> kept[ring.newest(len(ring), kept.device)]
        tensor([2., 3., 4.])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = as_count("size", size)
        self.pushed = 0

    def __len__(self) -> int:
        """How many entries are stored."""
        return min(self.pushed, self.size)

    @torch.no_grad()
    def write(self, *columns: tuple[Tensor, Tensor]) -> None:
        """Store the new entries ``[count, …]`` of each buffer; of more than fit the last."""
        buffer, entries = columns[0]
        self.pushed += len(entries)
        place = self.newest(min(len(entries), self.size), buffer.device)
        for buffer, entries in columns:
            kept = sent(entries[len(entries) - len(place) :], buffer.device)
            remember(buffer, kept, place)

    def newest(self, count: int, device: torch.device) -> Tensor:
        """Where the last ``count`` entries stand, oldest first, int64 ``[count]``."""
        return torch.arange(self.pushed - count, self.pushed, device=device) % self.size


class CrossBatchMemory(Ring):
    """A ring of the last ``size`` embeddings with their labels and ids.

    Embeddings drift slowly once training has settled, so those of past batches can stand as
    references: thousands of negatives for the price of storing them. The memory only stores; any
    miner and any loss take :meth:`reference` as ``ref_emb, ref_labels, ref_ids``. Everything is
    in ``state_dict``, and the stored embeddings follow ``.to()`` in device and dtype.

    Where several processes train, :class:`~metricface.recipes.GlobalBatchLoss` pushes the batch
    of all of them on each, so that there is one memory and one state. Given its own rows, each
    process has another memory, in which the same invented id stands for another sample.

    Args:
        size: how many embeddings are kept, at least 1.
        dim: their dimension D.
        warmup: until this many embeddings were pushed, :meth:`reference` is empty: early ones
            drift too fast to be of use.

    Raises:
        ValueError: size or dim below 1, a negative warmup.

    Example:
        >>> from metricface.losses import TripletLoss
        >>> from metricface.miners import SemiHardMiner
        >>> memory, miner, loss = CrossBatchMemory(1000, 8), SemiHardMiner(), TripletLoss()
        >>> embeddings, labels, ids = torch.rand(6, 8), torch.tensor([0, 0, 1, 1, 2, 2]), range(6)
        >>> memory.push(embeddings, labels, torch.tensor(ids))
        >>> ref_emb, ref_labels, ref_ids = memory.reference()
        >>> mined = miner(embeddings, labels, ref_emb, ref_labels, ids=list(ids), ref_ids=ref_ids)
        >>> loss(embeddings, labels, mined, ref_emb).shape
        torch.Size([])

    Reference: Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020.
    """

    embeddings: Tensor
    labels: Tensor
    ids: Tensor

    def __init__(self, size: int, dim: int, *, warmup: int = 0) -> None:
        super().__init__(size)
        self.register_buffer("embeddings", torch.zeros(self.size, as_count("dim", dim)))
        self.register_buffer("labels", torch.zeros(self.size, dtype=torch.int64))
        self.register_buffer("ids", torch.zeros(self.size, dtype=torch.int64))
        self.warmup = as_count("warmup", warmup, least=0)

    @eager
    def push(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> None:
        """Store a batch over the oldest entries; of a batch beyond ``size`` the last are kept.

        Args:
            embeddings: ``[B, D]``; stored without gradient.
            labels: integers ``[B]``.
            ids: non-negative integers ``[B]``, the samples' indices in the data set. Without
                them every entry counts as a sample of its own.

        Raises:
            TypeError: labels or ids that are not integer tensors.
            ValueError: shapes that do not agree; NaN or infinite embeddings, or such as the
                memory's dtype makes infinite; negative ids; labels or ids from 2^63 on.

        Example:
            >>> memory = CrossBatchMemory(3, 2)
            >>> for start in (0, 2):
            ...     memory.push(torch.ones(2, 2), torch.arange(start, start + 2))
            >>> memory.reference()[1]  # oldest first
            tensor([1, 2, 3])
        """
        check_embeddings(embeddings, self.embeddings[:0], names=("embeddings", "the memory"))
        count = len(embeddings)
        labels = _integers("labels", labels, count)
        if ids is None:  # below zero and never used twice, so equal to no id that is given
            ids = -1 - torch.arange(self.pushed, self.pushed + count, device=self.ids.device)
        else:
            ids = _integers("ids", ids, count)
        stored = self._shortened(embeddings)
        self.write((self.embeddings, stored), (self.labels, labels), (self.ids, ids))

    @eager
    def reference(self) -> tuple[Tensor, Tensor, Tensor]:
        """What is stored, oldest first.

        Returns:
            Embeddings ``[R, D]``, labels ``[R]`` and ids ``[R]``; R is 0 during the warm-up.
            Copies, so a later push does not disturb a backward pass.

        Example:
            >>> CrossBatchMemory(3, 2, warmup=1).reference()[0].shape
            torch.Size([0, 2])
        """
        place = self.newest(len(self) if self.pushed >= self.warmup else 0, self.ids.device)
        return self.embeddings[place], self.labels[place], self.ids[place]

    @torch.no_grad()
    def drift(self, embeddings: Tensor, ids: Tensor, *, distance: Distance | None = None) -> Tensor:
        """How far samples have moved since they were stored, for a log.

        Args:
            embeddings: fresh ones ``[B, D]``.
            ids: which samples they are ``[B]``.
            distance: Euclidean of unit vectors by default.

        Returns:
            The distance between each fresh embedding and its latest stored one, ``[M]``, for
            the M samples of the batch that are stored.

        Raises:
            TypeError: ids that are not an integer tensor, a distance that is none.
            ValueError: shapes that do not agree; NaN or infinite embeddings; negative ids.

        Example:
            >>> memory = CrossBatchMemory(4, 2)
            >>> memory.push(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.tensor([7]))
            >>> memory.drift(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([7, 8]))
            tensor([1.4142])
        """
        measure = Euclidean() if distance is None else check_distance(distance)
        check_embeddings(embeddings, self.embeddings[:0], names=("embeddings", "the memory"))
        known = sent(_integers("ids", ids, len(embeddings)), self.ids.device)
        place = self.newest(len(self), self.ids.device)
        # Stable, so that the last of equal ids is the latest.
        ordered, order = torch.sort(self.ids[place], stable=True)
        last = torch.searchsorted(ordered, known, right=True) - 1
        found = ((last >= 0) & (ordered[last] == known)) if len(ordered) else last >= 0
        both = found.nonzero().squeeze(1)
        old = self.embeddings[place[order[last[both]]]]
        return measure.paired(embeddings[both], old)

    def _shortened(self, embeddings: Tensor) -> Tensor:
        """Embeddings in the memory's own dtype, all of them still finite."""
        stored = embeddings.to(self.embeddings.dtype)
        if embeddings.dtype != stored.dtype and finite_check():
            count, given, kept = len(embeddings), embeddings.dtype, stored.dtype
            lost = ~stored.isfinite()
            # Of each row the first entry that is, or its first.
            entries = embeddings.detach().gather(1, lost.int().argmax(1, keepdim=True)).squeeze(1)
            refuse(
                lost.any(1),
                entries.double(),
                lambda row, entry: ValueError(
                    f"embeddings hold {entry:g} in row {row} of {count}, more than {kept} holds, "
                    f"in which the memory stores them: memory.to({given}) makes it wider"
                ),
            )
        return stored

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,  # noqa: FBT001  (torch passes by position)
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Refuse a state of another size whole: its count would tell of entries not stored."""
        stored = state_dict.get(f"{prefix}embeddings")
        if isinstance(stored, Tensor) and stored.shape != self.embeddings.shape:
            size, dim = stored.shape
            error_msgs.append(
                f"the state is that of a memory of {size} embeddings of dimension {dim}, this "
                f"memory keeps {self.size} of {self.embeddings.shape[1]}"
            )
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def get_extra_state(self) -> Tensor:
        """How many embeddings were ever pushed, which tells where the ring stands."""
        return torch.tensor(self.pushed, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from a saved state."""
        self.pushed = int(state)

    def extra_repr(self) -> str:
        """Size, dimension and what is stored."""
        return f"size={self.size}, dim={self.embeddings.shape[1]}, stored={len(self)}"


def _integers(name: str, values: Tensor, count: int) -> Tensor:
    """Labels or ids as int64, or an error that says what arrived."""
    integer = isinstance(values, Tensor) and not (
        values.is_floating_point() or values.is_complex() or values.dtype == torch.bool
    )
    if not integer:
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"the memory stores integer {name} as a tensor, got {kind}")
    if values.shape != (count,):
        column = f": {name}.squeeze(1) makes them fit" if values.shape[1:] == (1,) else ""
        raise ValueError(f"{count} embeddings came with {name} of {tuple(values.shape)}{column}")
    numbers = values.long()
    unsigned = values.dtype == torch.uint64  # from 2^63 on they have become negative
    if unsigned or name == "ids":
        rule, added = ("below 2^63", 2**64) if unsigned else ("0 or above", 0)
        refuse(
            numbers < 0,
            numbers,
            lambda row, value: ValueError(
                f"{name} must be {rule}, got {int(value) + added} in row {row} of {count}"
            ),
        )
    return numbers
