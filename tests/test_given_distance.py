from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from pytorch_metric_learning import distances as theirs
from torch import Tensor, nn

from metricface.distances import Cosine, Distance, Euclidean
from metricface.distances.given import check_distance
from metricface.memory import CrossBatchMemory
from tests.cases import LOSSES, MINERS


@dataclass(frozen=True)
class Fourth(Distance):
    def from_squared(self, squared: Tensor) -> Tensor:
        return squared * squared


@pytest.mark.parametrize("distance", [Cosine(), Euclidean(normalize=False), Fourth()])
def test_a_distance_passes_as_it_is(distance: Distance) -> None:
    assert check_distance(distance) is distance


LP = theirs.LpDistance


@pytest.mark.parametrize(
    ("distance", "says"),
    [
        ("cosine", r"the string 'cosine': use metricface.distances.Cosine\(\)"),
        ("L2", r"the string 'L2': use metricface.distances.Euclidean\(\)"),
        ("squared euclidean", r"use metricface.distances.SquaredEuclidean\(\)"),
        ("manhattan", "the string 'manhattan', which has no counterpart here"),
        (Cosine, r"the class Cosine: use metricface.distances.Cosine\(\)"),
        (Fourth, r"the class Fourth of tests: use Fourth\(\)$"),
        (True, "True$"),
        (0.2, "0.2$"),
        (
            theirs.CosineSimilarity(),
            r"CosineSimilarity of pytorch_metric_learning: use metricface.distances.Cosine\(\)",
        ),
        (theirs.CosineSimilarity, r"the class CosineSimilarity of pytorch.*Cosine\(\)"),
        (LP(), r"LpDistance of pytorch_metric_learning: use metricface.distances.Euclidean\(\)"),
        (LP(power=2), r"use metricface.distances.SquaredEuclidean\(\)"),
        (LP(normalize_embeddings=False), r"use metricface.distances.Euclidean\(normalize=False\)"),
        (LP(p=1), "LpDistance of pytorch_metric_learning, which has no counterpart here"),
        (LP(power=3), "no counterpart here"),
        (theirs.SNRDistance(), "SNRDistance of pytorch_metric_learning, which has no"),
        (
            theirs.DotProductSimilarity(normalize_embeddings=False),
            "DotProductSimilarity of pytorch_metric_learning, which",
        ),
        (nn.CosineSimilarity(), r"CosineSimilarity of torch: use metricface.distances.Cosine\(\)"),
        (nn.PairwiseDistance(), r"of torch: use .*Euclidean\(normalize=False\)"),
        (nn.PairwiseDistance(p=1), "of torch, which has no counterpart here"),
        (torch.cdist, "function$"),
        (theirs.DotProductSimilarity(), r"use metricface.distances.Cosine\(\)$"),
    ],
)
def test_anything_else_is_told_with_ours(distance: Any, says: str) -> None:
    with pytest.raises(
        TypeError,
        match=f"distance must be a metricface distance such as Cosine\\(\\), got .*{says}",
    ):
        check_distance(distance)


TAKES_ONE: dict[str, Callable[..., Any]] = {
    **{
        name: make
        for name, make in MINERS.items()
        if "distance" not in name and not name.startswith("random")
    },
    **LOSSES,
    "drift": lambda distance: CrossBatchMemory(4, 2).drift(
        torch.ones(1, 2), torch.tensor([0]), distance=distance
    ),
}


@pytest.mark.parametrize("make", TAKES_ONE.values(), ids=TAKES_ONE)
@pytest.mark.parametrize("distance", ["cosine", Cosine, theirs.LpDistance(), 0.2, False])
def test_whatever_takes_a_distance_refuses_at_once(make: Callable[..., Any], distance: Any) -> None:
    with pytest.raises(TypeError, match="distance must be a metricface distance"):
        make(distance=distance)
