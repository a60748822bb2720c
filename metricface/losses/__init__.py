"""What is asked of the pairs and triplets."""

from metricface.losses.center import CenterLoss
from metricface.losses.contrastive import ContrastiveLoss
from metricface.losses.deepid2 import DeepID2Loss
from metricface.losses.embedding_loss import EmbeddingLoss
from metricface.losses.margin import MarginLoss
from metricface.losses.triplet import BatchAllTripletLoss, TripletLoss
from metricface.losses.verification_signal import VerificationSignal

__all__ = [
    "BatchAllTripletLoss",
    "CenterLoss",
    "ContrastiveLoss",
    "DeepID2Loss",
    "EmbeddingLoss",
    "MarginLoss",
    "TripletLoss",
    "VerificationSignal",
]
