"""Samplers: which identities meet in a batch."""

from metricface.samplers.grouped import GroupedPKSampler
from metricface.samplers.hard import HardIdentitySampler
from metricface.samplers.identity_sampler import IdentitySampler
from metricface.samplers.pk import EpochReport, PKSampler

__all__ = [
    "EpochReport",
    "GroupedPKSampler",
    "HardIdentitySampler",
    "IdentitySampler",
    "PKSampler",
]
