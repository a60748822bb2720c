"""How far apart identities stand: all distances within them against all between them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.threshold import threshold_gain
from metricface.distributed.together import Together
from metricface.evaluation.given import DISTANCE
from metricface.evaluation.labelled_pairs import LabelledPairs
from metricface.given import above_zero, as_count
from metricface.types import Embeddings, Labels

_TINY = 1e-30  # all distances of a smaller set are 0 to float32: any bins will do


@dataclass(frozen=True, eq=False)
class ClassDistances:
    """Histograms and moments of the distances within (intra) and between (inter) identities.

    Moments are of all pairs, not of the histograms; overlap and threshold are read from the
    histograms and are as fine as a bin.
    """

    edges: npt.NDArray[np.float64]
    """Edges of the bins, ascending, ``[bins + 1]``; a bin holds its lower edge, the last both."""
    intra: npt.NDArray[np.int64]
    """Number of pairs of one identity in each bin, ``[bins]``."""
    inter: npt.NDArray[np.int64]
    """Number of pairs of two identities in each bin, ``[bins]``."""
    intra_mean: float
    """Mean distance of pairs of one identity."""
    intra_std: float
    """Standard deviation of the same (divided by their number)."""
    inter_mean: float
    """Mean distance of pairs of two identities."""
    inter_std: float
    """Standard deviation of the same (divided by their number)."""
    d_prime: float
    """Difference of the means over the root mean square of the deviations; higher is better.

    Negative where identities are farther from themselves than from others; NaN or infinite
    where nothing deviates.
    """
    overlap: float
    """Area the two normalised histograms share: 0 apart, 1 identical."""
    threshold: float
    """The edge at which ``error`` is least; the middle of the stretch where several are."""
    error: float
    """Mean of the shares of intra pairs at or above the threshold and of inter pairs below it."""

    def quantiles(self, q: float) -> tuple[float, float]:
        """Distance below which the share q of the intra and of the inter pairs lies.

        Read from the histograms, on a straight line within a bin.

        Args:
            q: from 0 to 1.

        Raises:
            ValueError: q out of range.

        Example:
            >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
            >>> class_distances(x, [0, 0, 1, 1], bins=4).quantiles(0.5)
            (0.5, 3.5)
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must be from 0 to 1, got {q}")
        return _quantile(self.edges, self.intra, q), _quantile(self.edges, self.inter, q)


def class_distances(
    embeddings: Embeddings,
    labels: Labels,
    *,
    bins: int = 200,
    upper: float | None = None,
    distance: Distance = DISTANCE,
    block: int = 1024,
    across_ranks: bool = False,
) -> ClassDistances:
    """Histogram every distance within and between identities; each unordered pair counts once.

    With means μ and standard deviations σ of the two kinds, and their histograms p, q of sum 1::

        d′      = (μ_inter − μ_intra) / √((σ²_intra + σ²_inter) / 2)
        overlap = Σ min(p, q)

    Counts are exact at any number of samples: int64, and a distance on an edge goes where
    ``numpy.histogram`` with these edges puts it. Bins are even, from 0 to twice the largest
    distance from the mean embedding: no pair is farther apart, and a quarter of the bins or more
    (half of them, for Euclidean distance) is reached, however near a model is to collapse. To
    compare models bin by bin, give them one ``upper``; 4 is the most there is for squared
    Euclidean distances of normalised embeddings, 2 for Euclidean and cosine.

    Memory is O(N·D + block² + pairs of one identity); with another block size, a distance may
    differ in its last bit.

    Args:
        embeddings: floating ``[N, D]``.
        labels: one identity per row; integers or strings.
        bins: number of bins, from 1 to 1,000,000.
        upper: last edge of the bins, above 0; from the data if None.
        distance: what is measured.
        block: side of the tiles in which the distances are computed.
        across_ranks: all ranks of the process group call this with the same arguments, each
            meets its share of the tiles, and all get the same answer.

    Returns:
        Counts, moments and what follows from them.

    Raises:
        ValueError: bins, upper or block out of range, a distance beyond ``upper``, bad embeddings
            or label count, no pair of one identity or none of two. Across ranks whatever is
            wrong on one of them, on all.
        TypeError: embeddings that are not floating.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
        >>> result = class_distances(x, ["anna", "anna", "ben", "ben"], bins=4)
        >>> result.intra.tolist(), result.inter.tolist(), result.overlap
        ([2, 0, 0, 0], [0, 0, 0, 4], 0.0)

    Reference:
        d′: Daugman, "The importance of being random", Pattern Recognition 2003, section 3.
    """
    with Together(across_ranks) as together:
        bins = as_count("bins", bins, 0)
        if not 1 <= bins <= 1_000_000:
            raise ValueError(f"bins must be from 1 to 1,000,000, got {bins}")
        upper = None if upper is None else above_zero("upper", upper)
        pairs = LabelledPairs(embeddings, labels, distance=distance, block=block, together=together)
        genuine, bound = pairs.genuine(), pairs.bound()
        last = upper or (bound if bound > _TINY else 1.0)
        edges = np.linspace(0.0, last, bins + 1)
        together.agree({"edges of the bins": edges, "distances of genuine pairs": genuine})
        histogram = _Histogram(edges, genuine, complete=last >= bound)
        intra = histogram.count(genuine)
        inter = torch.zeros_like(intra)
        moments = _Moments(shift=float(genuine.double().mean()))
        for tile in pairs.impostors():
            values = tile.pick(tile.distances)
            inter += histogram.count(values)
            moments.add(values)
        return _summary(
            edges,
            intra.cpu().numpy(),
            together.sum(inter).cpu().numpy(),
            _Moments.of(genuine),
            moments.of_all(together),
        )


class _Histogram:
    """Counts between given even edges, exact to the edge, without bisection.

    Scaling finds the bin to within one; comparing with its edges corrects it. The last bin takes
    what rounding puts beyond it where the edges are said to be complete; else that is an error.
    """

    def __init__(
        self, edges: npt.NDArray[np.float64], like: Tensor, *, complete: bool = True
    ) -> None:
        self._bins = len(edges) - 1
        self._most = None if complete else float(edges[-1])
        self._scale = self._bins / edges[-1]
        # d ≥ edge in float64 is d ≥ the least number of its own dtype that is not below the edge.
        own = torch.tensor(edges, dtype=like.dtype)
        rounded_down = torch.from_numpy(own.double().numpy() < edges)
        own = torch.where(rounded_down, own.nextafter(own.new_tensor(torch.inf)), own)
        self._lower = own[:-1].to(like.device)
        own[-1] = torch.inf  # the last bin is closed
        self._upper = own[1:].to(like.device)

    def count(self, distances: Tensor) -> Tensor:
        """Number of the given distances in each bin, int64 ``[bins]``."""
        if self._most is not None and float(distances.max()) > self._most:
            raise ValueError(
                f"a distance of {float(distances.max()):.6g} is beyond upper={self._most:.6g}"
            )
        guess = (distances * self._scale).int().clamp_(max=self._bins - 1)
        too_low = (distances >= self._upper.index_select(0, guess)).int()
        too_high = (distances < self._lower.index_select(0, guess)).int()
        return torch.bincount(guess + too_low - too_high, minlength=self._bins)


class _Moments:
    """Mean and standard deviation of values that come in parts, about a shift near the mean.

    The sums of the parts are added up as fractions: exactly, in whatever order they come.
    """

    def __init__(self, shift: float) -> None:
        self._shift = shift
        self._count = 0
        self._sum = self._squares = Fraction(0)

    @classmethod
    def of(cls, values: Tensor) -> _Moments:
        moments = cls(shift=float(values.double().mean()))
        moments.add(values)
        return moments

    def add(self, values: Tensor) -> None:
        shifted = values.to(torch.float64, copy=True).sub_(self._shift)
        self._count += len(values)
        self._sum += Fraction(float(shifted.sum()))
        self._squares += Fraction(float(shifted.dot(shifted)))

    def of_all(self, together: Together) -> _Moments:
        """Of the values of all ranks, which have the same shift."""
        every = _Moments(self._shift)
        for count, total, squares in together.each((self._count, self._sum, self._squares)):
            every._count += count
            every._sum += total
            every._squares += squares
        return every

    @property
    def mean(self) -> float:
        return self._shift + float(self._sum / self._count)

    @property
    def variance(self) -> float:
        return max(float(self._squares / self._count - (self._sum / self._count) ** 2), 0.0)


def _summary(
    edges: npt.NDArray[np.float64],
    intra: npt.NDArray[np.int64],
    inter: npt.NDArray[np.int64],
    within: _Moments,
    between: _Moments,
) -> ClassDistances:
    """What follows from the counts and the moments."""
    share_intra, share_inter = intra / intra.sum(), inter / inter.sum()
    threshold, error = least_error_edge(edges, intra, inter)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt((within.variance + between.variance) / 2)
        d_prime = np.float64(between.mean - within.mean) / spread
    return ClassDistances(
        edges=edges,
        intra=intra,
        inter=inter,
        intra_mean=within.mean,
        intra_std=within.variance**0.5,
        inter_mean=between.mean,
        inter_std=between.variance**0.5,
        d_prime=float(d_prime),
        overlap=float(np.minimum(share_intra, share_inter).sum()),
        threshold=threshold,
        error=error,
    )


def least_error_edge(
    edges: npt.NDArray[np.float64], intra: npt.NDArray[np.int64], inter: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """``threshold`` and ``error`` of :class:`ClassDistances`, from its histograms.

    Example:
        >>> least_error_edge(np.arange(5.0), np.array([2, 0, 0, 0]), np.array([0, 0, 0, 4]))
        (2.0, 0.0)
    """
    within, between = (np.append(0, counts.cumsum()) for counts in (intra, inter))
    gain = threshold_gain(within, between, within[-1], between[-1])
    first = int(gain.argmax())
    beyond = np.flatnonzero(gain[first:] != gain[first])
    last = first + int(beyond[0]) - 1 if len(beyond) else len(gain) - 1
    error = (1 - within[first] / within[-1] + between[first] / between[-1]) / 2
    return float((edges[first] + edges[last]) / 2), float(error)


def _quantile(edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], q: float) -> float:
    """Where the share q of the counts is reached."""
    below = np.concatenate([[0], counts.cumsum()]) / counts.sum()
    upper = max(int(np.searchsorted(below, q)), 1)
    while counts[upper - 1] == 0:  # q = 0: the first bin that holds anything
        upper += 1
    within = (q - below[upper - 1]) / (below[upper] - below[upper - 1])
    return float(edges[upper - 1] + within * (edges[upper] - edges[upper - 1]))
