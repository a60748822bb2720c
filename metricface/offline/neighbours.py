"""The answer of a search: who is near, and how near."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from metricface.distributed.together import Together


class Neighbours(NamedTuple):
    """For each anchor the k hardest found, hardest first.

    Where there are fewer than k, the row ends in index -1 at distance infinity (or minus
    infinity, where farthest comes first).

    Example:
        >>> found = Neighbours(np.array([[0.1, np.inf]]), np.array([[4, -1]]))
        >>> found.indices.shape
        (1, 2)
    """

    distances: npt.NDArray[np.floating[Any]]
    """Of the anchor to each, ``[N, k]``."""
    indices: npt.NDArray[np.int64]
    """Their rows in the embeddings, or -1, ``[N, k]``."""

    def of_all(self, together: Together) -> Neighbours:
        """Those of every rank's anchors, in rank order, from those of its own."""
        return Neighbours(*(together.cat(torch.from_numpy(each)).numpy() for each in self))

    def recall(self, exact: Neighbours) -> float:
        """Share of the exact neighbours that are found here too.

        A neighbour that is missed for another at the same distance as the farthest exact one is
        not counted as missed: among equals the order is arbitrary.

        Args:
            exact: of the same anchors and the same k.

        Returns:
            From 0 to 1; 1 where there is nothing to find.

        Raises:
            ValueError: another number of anchors or neighbours.

        Example:
            >>> exact = Neighbours(np.array([[0.1, 0.2]]), np.array([[4, 7]]))
            >>> Neighbours(np.array([[0.1, 0.3]]), np.array([[4, 8]])).recall(exact)
            0.5
        """
        if self.indices.shape != exact.indices.shape:
            raise ValueError(
                f"recall needs answers of one shape, got {self.indices.shape} and "
                f"{exact.indices.shape}"
            )
        wanted = (exact.indices >= 0).sum(axis=1)
        if not wanted.any():
            return 1.0
        last = np.maximum(wanted - 1, 0)[:, None]
        farthest = np.take_along_axis(exact.distances, last, axis=1)
        listed = (self.indices[:, :, None] == exact.indices[:, None, :]).any(axis=2)
        as_near = self.distances <= farthest
        found = ((listed | as_near) & (self.indices >= 0)).sum(axis=1)
        return float(np.minimum(found, wanted).sum() / wanted.sum())
