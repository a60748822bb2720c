"""The application with all its commands: importing a command's file adds it."""

from metricface.cli.align import align
from metricface.cli.app import app
from metricface.cli.evaluate import evaluate
from metricface.cli.histogram import histogram
from metricface.cli.mine import mine

__all__ = ["align", "app", "evaluate", "histogram", "mine"]
