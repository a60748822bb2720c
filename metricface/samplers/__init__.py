"""Samplers: which identities meet in a batch."""

from metricface.samplers.pk import EpochReport, PKSampler

__all__ = ["EpochReport", "PKSampler"]
