"""The command line: evaluate, histogram and mine embeddings that lie in files."""

from metricface.cli.entry import main

__all__ = ["main"]
