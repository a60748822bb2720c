"""The methods that are compared."""

from benchmarks.convergence.methods.method import Method, Setup, Trained, Values
from benchmarks.convergence.methods.table import METHODS, choose

__all__ = ["METHODS", "Method", "Setup", "Trained", "Values", "choose"]
