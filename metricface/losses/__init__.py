"""What is asked of the pairs and triplets."""

from metricface.losses.batch_all import BatchAllTripletLoss
from metricface.losses.contrastive import ContrastiveLoss
from metricface.losses.embedding_loss import EmbeddingLoss
from metricface.losses.triplet import TripletLoss

__all__ = ["BatchAllTripletLoss", "ContrastiveLoss", "EmbeddingLoss", "TripletLoss"]
