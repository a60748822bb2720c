"""Evaluation: what embeddings of identities never seen before are worth."""

from metricface.evaluation.class_distances import ClassDistances, class_distances
from metricface.evaluation.clustering import Agreement, Clustering, cluster_scores, clustering
from metricface.evaluation.hardest_pairs import HardestPairs, hardest_pairs
from metricface.evaluation.identification import Identification, identification
from metricface.evaluation.operating_points import Roc
from metricface.evaluation.pairs_file import NamedPairs, read_csv_pairs, read_lfw_pairs
from metricface.evaluation.retrieval import Retrieval, retrieval
from metricface.evaluation.templates import Templates, mean_templates
from metricface.evaluation.verification import ValidationRate, Verification, verification

__all__ = [
    "Agreement",
    "ClassDistances",
    "Clustering",
    "HardestPairs",
    "Identification",
    "NamedPairs",
    "Retrieval",
    "Roc",
    "Templates",
    "ValidationRate",
    "Verification",
    "class_distances",
    "cluster_scores",
    "clustering",
    "hardest_pairs",
    "identification",
    "mean_templates",
    "read_csv_pairs",
    "read_lfw_pairs",
    "retrieval",
    "verification",
]
