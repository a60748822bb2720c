"""Evaluation: what embeddings of identities never seen before are worth."""

from metricface.evaluation.class_distances import ClassDistances, class_distances
from metricface.evaluation.clustering import Agreement, Clustering, cluster_scores, clustering
from metricface.evaluation.hardest_pairs import HardestPairs, hardest_pairs
from metricface.evaluation.identification import Identification, identification
from metricface.evaluation.operating_points import Roc
from metricface.evaluation.protocols.galleries import MeanIdentification, mean_identification
from metricface.evaluation.protocols.ijb import (
    IjbFaces,
    IjbLandmarks,
    IjbTemplates,
    read_ijb_faces,
    read_ijb_landmarks,
    read_ijb_templates,
)
from metricface.evaluation.protocols.lfw import LfwPeople, read_lfw_pairs, read_lfw_people
from metricface.evaluation.protocols.megaface import (
    Megaface,
    MegafaceList,
    megaface,
    read_megaface_list,
)
from metricface.evaluation.protocols.named_pairs import NamedPairs, read_csv_pairs
from metricface.evaluation.protocols.template_pairs import (
    TemplatePairs,
    read_ijb_matches,
    read_ijb_pairs,
)
from metricface.evaluation.protocols.youtube import read_ytf_pairs
from metricface.evaluation.retrieval import Retrieval, retrieval
from metricface.evaluation.templates import Templates, mean_templates
from metricface.evaluation.verification import ValidationRate, Verification, verification

__all__ = [
    "Agreement",
    "ClassDistances",
    "Clustering",
    "HardestPairs",
    "Identification",
    "IjbFaces",
    "IjbLandmarks",
    "IjbTemplates",
    "LfwPeople",
    "MeanIdentification",
    "Megaface",
    "MegafaceList",
    "NamedPairs",
    "Retrieval",
    "Roc",
    "TemplatePairs",
    "Templates",
    "ValidationRate",
    "Verification",
    "class_distances",
    "cluster_scores",
    "clustering",
    "hardest_pairs",
    "identification",
    "mean_identification",
    "mean_templates",
    "megaface",
    "read_csv_pairs",
    "read_ijb_faces",
    "read_ijb_landmarks",
    "read_ijb_matches",
    "read_ijb_pairs",
    "read_ijb_templates",
    "read_lfw_pairs",
    "read_lfw_people",
    "read_megaface_list",
    "read_ytf_pairs",
    "retrieval",
    "verification",
]
