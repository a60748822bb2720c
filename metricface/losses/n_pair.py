"""Multi-class N-pair loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.distances import SquaredEuclidean
from metricface.embeddings import working_dtype
from metricface.identities import MatchBlock
from metricface.losses.blocks import BlockRows
from metricface.losses.info_nce import InfoNCELoss
from metricface.types import Reduction


class NPairLoss(InfoNCELoss):
    """Each positive against all negatives of its anchor, by softmax over inner products.

    ``log(1 + Σ_n exp(x·x_n − x·x_p))`` for each positive pair, of embeddings as they are. The
    paper's batch of N anchors and N positives, a pair of each identity, is
    ``loss(anchors, labels, None, positives, labels)``; without references each sample is an
    anchor, and its negatives are all samples of other identities. Nothing here keeps embeddings
    short: the paper adds their mean squared length with a small weight.

    Args:
        reduction: of the terms of positive pairs.
        miner: picks pairs or triplets where a call brings none; a pair counts once.
        block_bytes: about how much extra memory all pairs may take, in bytes.

    Raises:
        ValueError: an unknown reduction.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> NPairLoss()(x, [0, 0, 1])  # log(1 + e⁻¹)
        tensor(0.3133)

    Reference: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective",
    NIPS 2016, eq. 6.
    """

    def __init__(
        self,
        *,
        reduction: Reduction = "mean",
        miner: nn.Module | None = None,
        block_bytes: int = 64 * 2**20,
    ) -> None:
        super().__init__(
            1.0,
            distance=SquaredEuclidean(normalize=False),
            reduction=reduction,
            miner=miner,
            block_bytes=block_bytes,
        )

    def compared(self, rows: BlockRows, block: MatchBlock) -> tuple[Tensor, Tensor]:
        """Minus the inner products, in place of distances."""
        with torch.autocast(rows.query.device.type, enabled=False):
            every = -rows.query @ rows.other.T
        return every[block.anchor, block.positive], every

    def listed(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Minus the inner products of listed pairs, ``[T]``."""
        dtype = working_dtype(x, y)
        return -(x.to(dtype)[rows] * y.to(dtype)[columns]).sum(1)
