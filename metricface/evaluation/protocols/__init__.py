"""Protocols of benchmarks: their lists as they are distributed, and what they measure."""
