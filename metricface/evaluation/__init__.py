"""Evaluation: what embeddings of identities never seen before are worth."""

from metricface.evaluation.class_distances import ClassDistances, class_distances
from metricface.evaluation.operating_points import Roc
from metricface.evaluation.retrieval import Retrieval, retrieval
from metricface.evaluation.verification import Verification, verification

__all__ = [
    "ClassDistances",
    "Retrieval",
    "Roc",
    "Verification",
    "class_distances",
    "retrieval",
    "verification",
]
