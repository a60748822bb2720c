"""What all pair and triplet losses share: arguments, checks, mining inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.given import check_distance
from metricface.eager import eager
from metricface.embeddings import check_embeddings, working_dtype
from metricface.given import arrived, as_count
from metricface.identities import MatchBlock, Matches
from metricface.identities.mined_indices import check_indices
from metricface.losses.blocks import BlockRows, sums_of_blocks
from metricface.losses.reduction import Sum, check_reduction, reduced
from metricface.types import Labels, Reduction


class EmbeddingLoss(nn.Module, ABC):
    """A loss on pairs or triplets of embeddings.

    Without indices it compares all anchors with all references, in blocks of anchors, so that
    beyond the gradient it needs memory for one block of distances. The block size does not change
    the answer beyond rounding.

    Args:
        distance: how far apart two embeddings are; None for the usual one.
        reduction: how the terms become one number.
        miner: picks the pairs or triplets where a call brings none; None means all of them.
        block_bytes: about how much extra memory a loss over everything may take, in bytes.
            ``reduction="none"`` keeps every term, whatever it is.
    """

    #: Whether a part of the anchors can be taken alone, against all references.
    by_anchor = True
    #: How many arrays as large as a block of distances are held at once, there and back.
    copies = 6
    #: How many rows of it are held at once for each positive.
    positive_copies = 0

    #: How far apart two embeddings are where a user does not say.
    usual_distance: ClassVar[type[Distance]] = SquaredEuclidean

    def __init__(
        self,
        distance: Distance | None,
        reduction: Reduction,
        miner: nn.Module | None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        self.distance = self.usual_distance() if distance is None else check_distance(distance)
        self.reduction = reduction
        if isinstance(miner, type) or not (miner is None or callable(miner)):
            raise TypeError(f"miner must be a miner such as BatchHardMiner(), got {arrived(miner)}")
        self.miner = miner
        self.block_bytes = as_count("block_bytes", block_bytes)

    @eager
    def forward(
        self,
        embeddings: Tensor,
        labels: Labels | None,
        indices: Sequence[Tensor] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> Tensor:
        """The loss of one batch.

        Args:
            embeddings: ``[B, D]``; half precision is lifted to float32.
            labels: their identities ``[B]``, or a boolean matrix ``[B, R]`` of who belongs
                together; may be None where indices are given.
            indices: mined triplets or pairs, ours or pytorch-metric-learning's.
            ref_emb: what the second and third index count ``[R, D]``; the batch if None.
            ref_labels: identities of ref_emb ``[R]``.
            ids: which sample of the data set each row is ``[B]``.
            ref_ids: the same for ref_emb ``[R]``.

        Returns:
            A scalar, or one value per term for ``reduction="none"``; 0 where there is nothing
            to compare.

        Raises:
            TypeError: arguments of the wrong type.
            ValueError: shapes that do not agree; NaN or infinite embeddings; indices of rows
                that are not there.
        """
        sums = self.sums(embeddings, labels, indices, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids)
        return reduced(sums, self.reduction)

    def sums(
        self,
        embeddings: Tensor,
        labels: Labels | None,
        indices: Sequence[Tensor] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> list[Sum]:
        """What :meth:`forward` divides and adds: the terms of each kind, summed.

        Each term belongs to one anchor, so the sums of several processes with anchors of their
        own add up to those of the whole batch.
        """
        check_embeddings(embeddings, ref_emb, squared=not self.distance.normalize)
        reference = embeddings if ref_emb is None else ref_emb
        if indices is None and self.miner is not None:
            known = {name: v for name, v in (("ids", ids), ("ref_ids", ref_ids)) if v is not None}
            indices = self.miner(embeddings, labels, ref_emb, ref_labels, **known)
        beside = self.beside(embeddings, labels)
        if indices is not None:
            vectors = check_indices(indices, embeddings, ref_emb)
            return self.on_indices(embeddings, reference, vectors, beside)
        if labels is None:
            raise ValueError("a loss needs labels, or indices that were mined with them")
        matches = Matches.of(embeddings, labels, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids)
        return self.on_everything(embeddings, reference, matches, beside)

    def beside(self, embeddings: Tensor, labels: Labels | None) -> Tensor | None:
        """What the terms of an anchor depend on beside its distances, ``[B]``; mostly nothing."""
        return None

    @abstractmethod
    def on_indices(
        self,
        embeddings: Tensor,
        reference: Tensor,
        indices: Sequence[Tensor],
        beside: Tensor | None,
    ) -> list[Sum]:
        """The sums over mined indices, of one kind of terms or of two."""

    @abstractmethod
    def on_block(
        self, genuine: Tensor, every: Tensor, block: MatchBlock, beside: Tensor | None
    ) -> list[Sum]:
        """The sums over all that some anchors are compared with.

        Args:
            genuine: distances of the block's positive pairs, taken row by row, ``[M]``.
            every: distances to all references, from one matrix product, ``[b, R]``.
            block: who matches whom in the same rows.
            beside: what :meth:`beside` gives for these anchors, ``[b]``.
        """

    def on_everything(
        self, embeddings: Tensor, reference: Tensor, matches: Matches, beside: Tensor | None
    ) -> list[Sum]:
        """The sums over all pairs or triplets of its definition."""
        dtype = working_dtype(embeddings, reference)
        query = self.distance.rows(embeddings, dtype)
        other = query if reference is embeddings else self.distance.rows(reference, dtype)
        item = query.element_size()
        blocks = matches.blocks(
            self.block_bytes,
            per_reference=self.copies * item,
            per_positive=item * (3 * query.shape[1] + self.positive_copies * len(other)),
        )
        if self.reduction == "none":  # every term is kept in any case
            blocks = iter([(0, len(query))])
        own = [each for each in self.parameters() if each.requires_grad]
        return sums_of_blocks(partial(self._of_block, matches), blocks, query, other, beside, own)

    def _of_block(
        self, matches: Matches, start: int, rows: BlockRows, beside: Tensor | None
    ) -> list[Sum]:
        """The sums of some anchors."""
        stop = start + len(rows.query)
        block = matches.block(start, stop)
        own = None if beside is None else beside[start:stop]
        return self.on_block(*self.compared(rows, block), block, own)

    def compared(self, rows: BlockRows, block: MatchBlock) -> tuple[Tensor, Tensor]:
        """Distances of the block's positive pairs ``[M]``, and of all its pairs ``[b, R]``."""
        genuine = self.distance.between(rows.query, rows.other, block.anchor, block.positive)
        return genuine, self.distance.block(rows.near, rows.far)
