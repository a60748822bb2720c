"""Programs that measure metricface: ``python -m benchmarks.convergence`` and its neighbours."""
