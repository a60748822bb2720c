"""Pictures of embeddings and training; each function takes data and returns matplotlib's Axes."""

from metricface.plots.class_distance_histogram import class_distance_histogram
from metricface.plots.cmc import cmc
from metricface.plots.convergence import convergence
from metricface.plots.embedding_plane import embedding_plane
from metricface.plots.hardest_pairs_sheet import hardest_pairs_sheet
from metricface.plots.identity_sheet import identity_sheet
from metricface.plots.roc import roc
from metricface.plots.similarity_matrix import similarity_matrix
from metricface.plots.target_logit_curves import target_logit_curves

__all__ = [
    "class_distance_histogram",
    "cmc",
    "convergence",
    "embedding_plane",
    "hardest_pairs_sheet",
    "identity_sheet",
    "roc",
    "similarity_matrix",
    "target_logit_curves",
]
