"""Identification in several galleries, of which a protocol reports the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from metricface.evaluation.identification import Identification

Key = TypeVar("Key", int, float)


@dataclass(frozen=True)
class MeanIdentification:
    """Means over the galleries."""

    rank: dict[int, float]
    """Rank-k rate, by k."""
    detection: dict[float, float]
    """Detection-and-identification rate at each false-alarm rate; NaN where it is in a gallery."""


def mean_identification(galleries: Sequence[Identification]) -> MeanIdentification:
    """The mean figures of the same probes searched in several galleries, as IJB reports them.

    IJB-B and IJB-C have two galleries of different people. Each probe has a mate in one of them
    and is a stranger to the other, so both answer the closed-set question for their own probes
    and the open-set question for all. Every gallery counts alike, however many of the probes it
    knows; where all mated searches are to count alike, weight by ``mated``.

    Args:
        galleries: what :func:`identification` measured in each, at the same ranks and rates.

    Raises:
        ValueError: there is none, or they were not asked for the same ranks and rates.
        TypeError: they are no such results.

    Example:
        >>> import numpy as np
        >>> from metricface.evaluation import identification
        >>> probes, people = np.eye(3)[[0, 1, 1]], [1, 2, 3]
        >>> one = identification(np.eye(3)[:1], [1], probes, people, ranks=(1,))
        >>> two = identification(np.eye(3)[1:], [3, 2], probes, people, ranks=(1,))
        >>> mean_identification([one, two]).rank
        {1: 0.75}

    Reference:
        Whitelam et al., "IARPA Janus Benchmark-B Face Dataset" (2017), section 4.
    """
    listed = isinstance(galleries, list | tuple)
    if not listed or not all(isinstance(each, Identification) for each in galleries):
        raise TypeError("galleries must be a list of what identification measured in each")
    if not galleries:
        raise ValueError("galleries must be one or more, got none")
    first = galleries[0]
    for each in galleries:
        if each.rank.keys() != first.rank.keys() or each.detection.keys() != first.detection.keys():
            raise ValueError(
                "galleries must be searched at the same ranks and false-alarm rates, got "
                f"{list(first.rank)}, {list(first.detection)} and "
                f"{list(each.rank)}, {list(each.detection)}"
            )

    return MeanIdentification(
        rank=_means([each.rank for each in galleries]),
        detection=_means([each.detection for each in galleries]),
    )


def _means(rates: Sequence[dict[Key, float]]) -> dict[Key, float]:
    return {key: sum(each[key] for each in rates) / len(rates) for key in rates[0]}
