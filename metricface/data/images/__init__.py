"""The two datasets, in memory and in files, and what both are made of."""
