"""Which pairs and triplets of a batch teach something."""

from metricface.miners.batch_hard import BatchHardMiner
from metricface.miners.miner import Miner
from metricface.miners.random_triplets import RandomMiner
from metricface.miners.semi_hard import SemiHardMiner

__all__ = ["BatchHardMiner", "Miner", "RandomMiner", "SemiHardMiner"]
