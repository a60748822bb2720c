"""What may be given as a distance, and the errors for what may not."""

from __future__ import annotations

from metricface.distances.distance import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.given import arrived

_NAMES = {
    "cosine": Cosine(),
    "cos": Cosine(),
    "euclidean": Euclidean(),
    "l2": Euclidean(),
    "squared_euclidean": SquaredEuclidean(),
    "squared_l2": SquaredEuclidean(),
    "sqeuclidean": SquaredEuclidean(),
}


def check_distance(distance: object) -> Distance:
    """The distance that was given; the error for anything else says what to write instead.

    Args:
        distance: what was given as ``distance=``.

    Raises:
        TypeError: not an instance of :class:`~metricface.distances.Distance`.

    Example:
        >>> check_distance("cosine")
        Traceback (most recent call last):
        ...
        TypeError: distance must be a metricface distance such as Cosine(), got the string \
'cosine': use metricface.distances.Cosine()
    """
    if isinstance(distance, Distance):
        return distance
    what, ours = arrived(distance), _counterpart(distance)
    kind = distance if isinstance(distance, type) else type(distance)
    library = kind.__module__.partition(".")[0]
    foreign = library not in ("builtins", "metricface", "__main__")
    what += f" of {library}" if foreign else ""
    if ours:
        what += f": use {ours}"
    elif foreign or isinstance(distance, str):
        what += ", which has no counterpart here"
    raise TypeError(f"distance must be a metricface distance such as Cosine(), got {what}")


def _counterpart(distance: object) -> str | None:
    """How our distance is written that comes nearest to what was given; None if none does."""
    if isinstance(distance, str):
        return _told(_NAMES.get(distance.lower().replace("-", "_").replace(" ", "_")))
    if isinstance(distance, type) and issubclass(distance, Distance):
        ours = distance.__module__.startswith("metricface.")
        return f"{'metricface.distances.' if ours else ''}{distance.__name__}()"
    name = (distance if isinstance(distance, type) else type(distance)).__name__
    if name in ("CosineSimilarity", "DotProductSimilarity"):
        return _told(Cosine()) if getattr(distance, "normalize_embeddings", True) else None
    if name in ("LpDistance", "PairwiseDistance"):
        return _told(_of_power(distance, name))
    return None


def _of_power(distance: object, name: str) -> Distance | None:
    """Euclidean or squared, by the settings of pytorch-metric-learning's or torch's module."""
    default = name == "LpDistance"  # torch's own leaves embeddings their length
    normalize = getattr(distance, "normalize_embeddings", default)
    power = getattr(distance, "p", getattr(distance, "norm", 2)), getattr(distance, "power", 1)
    ours = {(2, 1): Euclidean(normalize), (2, 2): SquaredEuclidean(normalize)}
    return ours.get(power)


def _told(ours: Distance | None) -> str | None:
    if ours is None:
        return None
    return (
        f"metricface.distances.{type(ours).__name__}({'' if ours.normalize else 'normalize=False'})"
    )
