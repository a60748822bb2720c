"""The loss of the batch of all processes, of which each computes its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from metricface.memory import CrossBatchMemory
from metricface.recipes.objective import Objective
from metricface.recipes.processes.global_objective import GlobalObjective
from metricface.types import Labels


class GlobalBatchLoss(nn.Module):
    """The loss of the batch of all processes, with its exact gradient under DDP.

    Each process brings its rows, mines **its own anchors** against the rows of all, and computes
    their terms only: of N² distances, W processes look at N²/W each. The reduction's counts are
    added up over all of them, so that the value, which is equal on all ranks, is that of one
    process with the whole batch. Backward gives W times the gradient of the own rows, which
    DistributedDataParallel, averaging, turns into the gradient of the whole loss. Parameters of
    the loss itself (a learned β) get that gradient on every rank, wrapped in DDP or not.

    What cannot be split by anchor is computed on the gathered batch by every rank, with the same
    value and gradient: losses and miners of other libraries, classifiers,
    :class:`~metricface.losses.CenterLoss`, :class:`~metricface.losses.DeepID2Loss`,
    :class:`~metricface.losses.VerificationSignal`. What a miner of another library picks is what
    it picks on rank 0; a loss of another library that draws is averaged over the ranks' draws.

    Every rank has to call it, and to go backward. Without a process group it is the loss itself.

    Args:
        loss: of this library or of pytorch-metric-learning, with any reduction to one number.
        miner: picks what the loss looks at; None leaves that to the loss.
        memory: past embeddings of all ranks that the batch is compared with besides; every rank
            keeps the same, so that one state is that of all.

    Raises:
        TypeError: a loss that is no module, or takes no labels.
        ValueError: ``reduction="none"``; a miner or a memory that the loss cannot use.

    Example:
        >>> import torch
        >>> from metricface.losses import TripletLoss
        >>> from metricface.miners import SemiHardMiner
        >>> loss = GlobalBatchLoss(TripletLoss(), SemiHardMiner())
        >>> x, labels = torch.eye(4)[:, :3], torch.tensor([0, 0, 1, 1])
        >>> loss(x, labels) == TripletLoss()(x, labels, SemiHardMiner()(x, labels))
        tensor(True)
    """

    def __init__(
        self,
        loss: nn.Module,
        miner: Callable[..., Sequence[Tensor]] | None = None,
        memory: CrossBatchMemory | None = None,
    ) -> None:
        super().__init__()
        self.objective = Objective([loss], miner=miner, memory=memory)
        if getattr(loss, "reduction", None) == "none":
            raise ValueError('reduction="none" gives no one number to train on')

    def forward(self, embeddings: Tensor, labels: Labels, ids: Labels | None = None) -> Tensor:
        """The loss of the batch of all ranks; a memory takes it in afterwards.

        Args:
            embeddings: this rank's ``[n, D]``; n may differ between ranks, and be 0.
            labels: ``[n]`` integers or strings.
            ids: which sample of the data set each row is ``[n]``, on all ranks or on none. A
                sample is not compared with itself, on whichever ranks it is met.

        Returns:
            A scalar, equal on all ranks.

        Raises:
            TypeError: strings where there is a memory; without a process group, arguments of the
                wrong type.
            ValueError: on every rank, if any rank's arguments are wrong, or those of ranks do
                not fit together; see :func:`~metricface.distributed.gather_batch`.
            RuntimeError: a rank has died.
        """
        shared = GlobalObjective(self.objective)
        asked = shared.gather(embeddings, labels, ids)
        value = shared.loss(asked, shared.mine(asked))
        shared.remember(asked)
        return value
