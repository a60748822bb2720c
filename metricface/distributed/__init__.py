"""Several processes, one batch: what each of them holds, made known to all, exactly.

The loss of that batch, of which each process computes its share, needs losses and miners and so
stands above: :class:`metricface.recipes.GlobalBatchLoss`.
"""

from metricface.distributed.gather import Gathered, gather_batch
from metricface.distributed.world import rank, world_size

__all__ = ["Gathered", "gather_batch", "rank", "world_size"]
