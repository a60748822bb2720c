"""What all miners share: arguments, checks, blocks of anchors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.given import check_distance
from metricface.distances.product import may_tie, without_rounding
from metricface.eager import eager
from metricface.embeddings import check_embeddings, working_dtype
from metricface.given import arrived, as_count
from metricface.identities import MatchBlock, Matches
from metricface.miners.draws import Draws
from metricface.miners.guard import FalseNegativeGuard
from metricface.transfers import Fetched
from metricface.types import Labels, Pairs, Triplets

Mined = TypeVar("Mined", Triplets, Pairs)


class Miner(nn.Module, ABC, Generic[Mined]):
    """A rule that picks, from a batch, the index tuples worth a loss.

    The batch is taken in blocks of anchors, so that beyond its answer a miner needs memory for
    one block of distances, never for an array of B×R×R; the answer does not depend on the block
    size. Nothing here carries a gradient.

    Args:
        distance: how far apart two embeddings are.
        draws: random numbers, for a rule that draws; each call takes a key of its own.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.
        compiled: run the dense inner steps under torch.compile: the same answer, sooner; the
            first call takes seconds.
    """

    kind: type[Mined]
    #: How many arrays as large as the block of distances the rule holds at once.
    copies = 2
    #: A rule that never looks at distances is handed an empty tensor in their place.
    needs_distances = True
    #: The number of the first anchor within the batch of all processes; set it before a call.
    #: Draws depend on the number of their anchor, so that several processes draw what one would.
    first_anchor = 0

    def __init__(
        self,
        *,
        distance: Distance | None = None,
        draws: Draws | None = None,
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.distance = SquaredEuclidean() if distance is None else check_distance(distance)
        self.draws = draws
        if guard is not None and not isinstance(guard, FalseNegativeGuard):
            raise TypeError(
                "guard must be one such as FalseNegativeGuard(relative_margin=0.9), got "
                f"{arrived(guard)}"
            )
        self.guard = guard
        self.block_bytes = as_count("block_bytes", block_bytes)
        self.compiled = compiled
        self._key, self._dim = 0, 0  # of the present call

    @abstractmethod
    def mine(self, distances: Tensor, block: MatchBlock) -> Mined:
        """The rule: index tuples from one block, anchors counted from the block's start.

        Args:
            distances: ``[b, R]``; the rule may overwrite them.
            block: who matches whom in the same rows.

        Returns:
            The mined tuples of these anchors.
        """

    @eager
    @torch.no_grad()
    def forward(
        self,
        embeddings: Tensor,
        labels: Labels,
        ref_emb: Tensor | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> Mined:
        """Mine one batch.

        Args:
            embeddings: anchors ``[B, D]``; half precision is lifted to float32.
            labels: their identities ``[B]``, or a boolean matrix ``[B, R]`` of who belongs
                together.
            ref_emb: where positives and negatives come from ``[R, D]``; the batch itself if
                None.
            ref_labels: identities of ref_emb ``[R]``.
            ids: which sample of the data set each row is ``[B]``; a sample is never its own
                positive or negative.
            ref_ids: the same for ref_emb ``[R]``.

        Returns:
            int64 index tensors on the device of the embeddings; empty where nothing qualifies.

        Raises:
            TypeError: arguments of the wrong type.
            ValueError: shapes that do not agree; NaN or infinite embeddings.
        """
        check_embeddings(embeddings, ref_emb, squared=not self.distance.normalize)
        matches = Matches.of(embeddings, labels, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids)
        self._dim = embeddings.shape[1]
        if self.draws is not None and self.drawing():
            self._key = self.draws.next_key()
        if not self.needs_distances:
            nothing = embeddings[:, :0].to(working_dtype(embeddings))
            return self._over_blocks(nothing, nothing[:0], matches)
        query, reference = self.distance.prepare(embeddings, ref_emb)
        tie = Fetched(may_tie(reference))
        early = tie.arrived()
        if early and tie.wait():
            return self._over_blocks(*without_rounding(query, reference), matches)
        mined = self._over_blocks(query, reference, matches)
        # An accelerator answers when it has mined; ties are rare, so mining again is sooner than
        # making the host wait for the answer first.
        if not early and tie.wait():
            return self._over_blocks(*without_rounding(query, reference), matches)
        return mined

    def hide_(self, distances: Tensor, block: MatchBlock) -> Tensor:
        """Overwrite with infinity, in place, all but the negatives that may be mined."""
        if self.guard is None:
            return block.hide_(distances)
        return self.guard.hide_(distances, block)

    def drawing(self) -> bool:
        """Whether the rule draws as it is set; if not, a call keeps its place in the sequence."""
        return True

    def numbers(self, anchor: Tensor, block: MatchBlock) -> Tensor:
        """Numbers of a block's anchors within the batch of all processes: draws depend on them."""
        return anchor + (self.first_anchor + block.start)

    def _over_blocks(self, query: Tensor, reference: Tensor, matches: Matches) -> Mined:
        """What is mined from these rows, block by block."""
        row = query.element_size() * self.copies
        mined: list[Mined] = []
        for start, stop in matches.blocks(self.block_bytes, per_reference=row):
            block = matches.block(start, stop)
            distances = self.distance.block(query[start:stop], reference)
            mined.append(self._from_batch_start(self.mine(distances, block), start))
        if len(mined) == 1:
            return mined[0]
        empty = torch.empty(0, dtype=torch.int64, device=query.device)
        joined = [torch.cat(parts) for parts in zip(*mined, strict=True)]
        return self.kind(*(joined or [empty] * len(self.kind._fields)))

    def _from_batch_start(self, mined: Mined, start: int) -> Mined:
        """The same tuples with anchors counted from the start of the batch."""
        if start == 0:
            return mined
        return self.kind(
            *(
                index + start if field.startswith("anchor") else index
                for field, index in zip(self.kind._fields, mined, strict=True)
            )
        )
