"""metricface: which identities meet in a batch, which triplets teach, what is asked of them."""

__all__: list[str] = []
