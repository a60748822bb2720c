"""Pictures of embeddings and training; each function takes data and returns matplotlib's Axes."""

from metricface.plots.class_distance_histogram import class_distance_histogram
from metricface.plots.convergence import convergence

__all__ = ["class_distance_histogram", "convergence"]
