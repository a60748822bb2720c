"""What is asked of the pairs and triplets."""

from metricface.losses.center import CenterLoss
from metricface.losses.circle import CircleLoss
from metricface.losses.contrastive import ContrastiveLoss
from metricface.losses.deepid2 import DeepID2Loss
from metricface.losses.embedding_loss import EmbeddingLoss
from metricface.losses.info_nce import InfoNCELoss
from metricface.losses.lifted_structure import LiftedStructureLoss
from metricface.losses.margin import MarginLoss
from metricface.losses.multi_similarity import MultiSimilarityLoss
from metricface.losses.n_pair import NPairLoss
from metricface.losses.nca import NCALoss
from metricface.losses.sigmoid_pair import SigmoidPairLoss
from metricface.losses.smooth_ap import SmoothAPLoss
from metricface.losses.supcon import SupConLoss
from metricface.losses.triplet import BatchAllTripletLoss, TripletLoss
from metricface.losses.verification_signal import VerificationSignal

__all__ = [
    "BatchAllTripletLoss",
    "CenterLoss",
    "CircleLoss",
    "ContrastiveLoss",
    "DeepID2Loss",
    "EmbeddingLoss",
    "InfoNCELoss",
    "LiftedStructureLoss",
    "MarginLoss",
    "MultiSimilarityLoss",
    "NCALoss",
    "NPairLoss",
    "SigmoidPairLoss",
    "SmoothAPLoss",
    "SupConLoss",
    "TripletLoss",
    "VerificationSignal",
]
