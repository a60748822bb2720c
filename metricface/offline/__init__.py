"""Hard examples from the whole training set, between epochs: impostors, pairs, look-alikes."""

from metricface.offline.hard_pairs import hard_pairs
from metricface.offline.identity_neighbours import identity_neighbours
from metricface.offline.impostors import nearest_impostors
from metricface.offline.neighbours import Neighbours

__all__ = ["Neighbours", "hard_pairs", "identity_neighbours", "nearest_impostors"]
