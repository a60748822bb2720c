"""Several processes, one batch: what each of them holds, made known to all, exactly."""

from metricface.distributed.gather import Gathered, gather_batch
from metricface.distributed.world import rank, world_size

__all__ = ["Gathered", "gather_batch", "rank", "world_size"]
