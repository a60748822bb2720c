"""Classifiers whose weights are class centres, with and without margins, whole or split."""

from metricface.classifiers.adaface import AdaFace
from metricface.classifiers.annealing import Annealing
from metricface.classifiers.arcface import ArcFace, arcface_target
from metricface.classifiers.bounds import max_margin, min_loss, min_scale
from metricface.classifiers.class_numbers import class_numbers
from metricface.classifiers.classifier import Classifier
from metricface.classifiers.coco import COCO
from metricface.classifiers.combined_margin import CombinedMargin, combined_target
from metricface.classifiers.cosface import AMSoftmax, CosFace
from metricface.classifiers.gb_cosface import GBCosFace
from metricface.classifiers.large_margin import ASoftmax, LSoftmax
from metricface.classifiers.multiple_angle import psi
from metricface.classifiers.normface import NormFace
from metricface.classifiers.proxy_anchor import ProxyAnchor
from metricface.classifiers.proxy_nca import ProxyNCA
from metricface.classifiers.sharded import ShardedClassifier
from metricface.classifiers.softmax import ModifiedSoftmax, Softmax
from metricface.classifiers.sub_center import Cleaned, SubCenterArcFace
from metricface.classifiers.target_and_rest import target_and_rest

__all__ = [
    "COCO",
    "AMSoftmax",
    "ASoftmax",
    "AdaFace",
    "Annealing",
    "ArcFace",
    "Classifier",
    "Cleaned",
    "CombinedMargin",
    "CosFace",
    "GBCosFace",
    "LSoftmax",
    "ModifiedSoftmax",
    "NormFace",
    "ProxyAnchor",
    "ProxyNCA",
    "ShardedClassifier",
    "Softmax",
    "SubCenterArcFace",
    "arcface_target",
    "class_numbers",
    "combined_target",
    "max_margin",
    "min_loss",
    "min_scale",
    "psi",
    "target_and_rest",
]
