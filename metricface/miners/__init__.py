"""Which pairs and triplets of a batch teach something."""

from metricface.miners.batch_all import BatchAllMiner
from metricface.miners.batch_hard import BatchHardMiner
from metricface.miners.distance_weighted import DistanceWeightedMiner
from metricface.miners.easy_positive import EasyPositiveMiner
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.miner import Miner
from metricface.miners.multi_similarity import MultiSimilarityMiner
from metricface.miners.random_triplets import RandomMiner
from metricface.miners.ranked import RankedMiner
from metricface.miners.semi_hard import SemiHardMiner

__all__ = [
    "BatchAllMiner",
    "BatchHardMiner",
    "DistanceWeightedMiner",
    "EasyPositiveMiner",
    "FalseNegativeGuard",
    "Miner",
    "MultiSimilarityMiner",
    "RandomMiner",
    "RankedMiner",
    "SemiHardMiner",
]
