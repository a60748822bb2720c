"""Recipes: whole trainings around the samplers, miners and losses."""

from metricface.recipes.batches import Augment, BatchSampler, Labelled
from metricface.recipes.deepid2 import deepid2
from metricface.recipes.embed import embed
from metricface.recipes.fit import Fit, fit
from metricface.recipes.global_batch import GlobalBatchLoss
from metricface.recipes.look_alikes import LookAlikes
from metricface.recipes.objective import Objective
from metricface.recipes.options import Options
from metricface.recipes.resuming.lightning import lightning_resume
from metricface.recipes.schedules import Schedule, in_defense_schedule
from metricface.recipes.softmax_then_triplet import (
    Frozen,
    SoftmaxThenTriplet,
    softmax_then_triplet,
)
from metricface.recipes.validation import unseen_identities

__all__ = [
    "Augment",
    "BatchSampler",
    "Fit",
    "Frozen",
    "GlobalBatchLoss",
    "Labelled",
    "LookAlikes",
    "Objective",
    "Options",
    "Schedule",
    "SoftmaxThenTriplet",
    "deepid2",
    "embed",
    "fit",
    "in_defense_schedule",
    "lightning_resume",
    "softmax_then_triplet",
    "unseen_identities",
]
