"""Diagnostics: what each training step did, for any logger."""

from metricface.diagnostics.batch_monitor import BatchMonitor
from metricface.diagnostics.logs import csv_log, tensorboard_log

__all__ = ["BatchMonitor", "csv_log", "tensorboard_log"]
