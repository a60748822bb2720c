"""DeepID2: identification and verification together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from metricface.classifiers import Softmax
from metricface.given import zero_or_above
from metricface.losses.verification_signal import VerificationSignal
from metricface.types import Labels


class DeepID2Loss(nn.Module):
    """Softmax identification plus λ times pairwise verification, on the same features.

    Identification draws features of different identities apart, verification those of one
    identity together. The parts are ``.identification``, a
    :class:`~metricface.classifiers.Softmax`, and ``.verification``, a
    :class:`~metricface.losses.VerificationSignal`, where forms and margin are explained.

    Args:
        num_classes: C.
        dim: D; 160 in the paper.
        weight: λ; 0.05 in the paper (unverified).
        signal: ``"l2"``, ``"l1"`` or ``"cosine"``.
        margin: m, or its first value, above 0.
        squared_margin: compare m with D², not D.
        normalize: scale features to length one for the verification.
        refresh_every: pairs between two settings of the margin; None keeps it.
        window: how many recent pairs a new margin is set from.
        miner: picks the pairs to verify; None means all pairs of the batch.

    Raises:
        ValueError: a setting out of its range, an unknown signal.

    Example:
        >>> import torch
        >>> loss = DeepID2Loss(10, 4, margin=0.2, normalize=True)
        >>> loss(torch.rand(6, 4), [0, 0, 1, 1, 2, 2]).shape
        torch.Size([])

    Reference: Sun et al., "Deep Learning Face Representation by Joint Identification-
    Verification", NIPS 2014.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        weight: float = 0.05,
        signal: Literal["l2", "l1", "cosine"] = "l2",
        margin: float = 1.0,
        squared_margin: bool = False,
        normalize: bool = False,
        refresh_every: int | None = 200_000,
        window: int = 200_000,
        miner: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.weight = zero_or_above("weight", weight)
        self.identification = Softmax(num_classes, dim)
        self.verification = VerificationSignal(
            signal,
            margin=margin,
            squared_margin=squared_margin,
            normalize=normalize,
            refresh_every=refresh_every,
            window=window,
            miner=miner,
        )

    def forward(
        self,
        embeddings: Tensor,
        labels: Labels,
        indices: Sequence[Tensor] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Labels | None = None,
        *,
        ids: Labels | None = None,
        ref_ids: Labels | None = None,
    ) -> Tensor:
        """The loss of one batch, from the arguments of :meth:`EmbeddingLoss.forward`.

        Labels are class numbers ``[B]``, 0 to C − 1. Indices are of the pairs to verify, and
        references are verified against, not identified.
        """
        identification: Tensor = self.identification(embeddings, labels)
        verification: Tensor = self.verification(
            embeddings, labels, indices, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids
        )
        return identification + self.weight * verification
