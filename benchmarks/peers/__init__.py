"""The incumbents, wrapped so that they run in the same loop as metricface."""
