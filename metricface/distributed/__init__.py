"""Several processes, one batch."""

from metricface.distributed.world import rank, world_size

__all__ = ["rank", "world_size"]
