"""The one distance core: smaller always means closer.

Every distance here is a function of the squared Euclidean distance, so there is one matrix
product, one place where precision is guarded, and a subclass is one line.
"""

from metricface.distances.distance import Cosine, Distance, Euclidean, SquaredEuclidean

__all__ = ["Cosine", "Distance", "Euclidean", "SquaredEuclidean"]
