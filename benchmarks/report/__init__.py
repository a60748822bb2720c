"""A run of the convergence benchmark as one page: what won, by how much, at what cost."""
