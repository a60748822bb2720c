"""metricface: which identities meet in a batch, which triplets teach, what is asked of them."""

__version__ = "0.1.0"
__all__ = ["__version__"]
