"""Several processes, one batch: the rows of each, gathered exactly on all.

The loss of that batch, of which each process computes its share, needs losses and miners and is
therefore in a higher layer: :class:`metricface.recipes.GlobalBatchLoss`.
"""

from metricface.distributed.gather import Gathered, gather_batch
from metricface.distributed.world import rank, world_size

__all__ = ["Gathered", "gather_batch", "rank", "world_size"]
