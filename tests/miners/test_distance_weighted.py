from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from metricface.miners import DistanceWeightedMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.mining import distance_matrix, distance_weights


@given(batches(), st.sampled_from(["skip", "uniform"]), st.sampled_from([None, 1, 3]))
@settings(deadline=None, max_examples=100)
def test_every_anchor_with_an_eligible_negative_keeps_one(
    batch: Batch, otherwise: Any, per_anchor: int | None
) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy(), "euclidean")
    layout = batch.layout
    miner = DistanceWeightedMiner(per_anchor=per_anchor, otherwise=otherwise)
    mined = miner(*batch.arguments, **batch.keywords)
    counts = torch.bincount(mined.anchor, minlength=layout.b).tolist()
    for a in range(layout.b):
        eligible = [n for n in layout.negatives[a] if d[a, n] < 1.4]
        usable = eligible or (layout.negatives[a] if otherwise == "uniform" else [])
        positives = len(layout.positives[a])
        draws = positives if per_anchor is None else per_anchor * (positives > 0)
        assert counts[a] == (draws if usable else 0)
        drawn = mined.negative[mined.anchor == a].tolist()
        assert set(drawn) <= set(usable)


def points_at(distances: Tensor, dim: int) -> Tensor:
    """Unit vectors at these Euclidean distances from the first axis."""
    cosine = 1 - distances.double() ** 2 / 2
    out = torch.zeros(len(distances), dim, dtype=torch.float64)
    out[:, 0] = cosine
    out[:, 1] = (1 - cosine**2).clamp_min(0).sqrt()
    return out


@pytest.mark.parametrize("dim", [3, 16, 128, 512, 1024])
def test_frequencies_follow_the_formula(dim: int) -> None:
    """Chi-square over 20,000 equal anchors; one seed of 10,000 would fail.

    The distances lie close together where the density is steep, so that several are likely.
    """
    spread = 3.0 / dim
    distances = torch.cat(
        [torch.tensor([0.2, 0.4]), 0.5 + spread * torch.rand(12, generator=seeded()), 1.45 * one()]
    )
    ref = torch.cat([points_at(torch.tensor([0.0]), dim), points_at(distances, dim)])
    anchors = ref[:1].expand(20_000, -1)
    labels = torch.tensor([0, *range(1, len(ref))])
    miner = DistanceWeightedMiner(seed=3)
    mined = miner(anchors, torch.zeros(20_000, dtype=torch.int64), ref, labels)
    drawn = np.bincount(mined.negative.numpy(), minlength=len(ref))[1:]
    expected = 20_000 * np.array(distance_weights(distances.tolist(), dim, 0.5, 1.4))
    assert drawn[-1] == 0
    likely = expected > 5
    assert likely.sum() >= 5
    observed = [*drawn[likely], drawn[~likely].sum() + 1e-9]
    wanted = [*expected[likely], expected[~likely].sum() + 1e-9]
    assert chisquare(observed, wanted).pvalue > 1e-4


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def one() -> Tensor:
    return torch.ones(1)


def test_random_embeddings_in_many_dimensions_keep_every_anchor() -> None:
    """A maximum over the whole batch instead of each anchor would lose whole rows here."""
    x = torch.nn.functional.normalize(draw_rows(64, 512, 0))
    x[::2] = torch.nn.functional.normalize(x[::2] + 3 * x[1])
    labels = torch.arange(64) // 2
    mined = DistanceWeightedMiner(0.1, 2.0)(x, labels)
    assert mined.anchor.tolist() == list(range(64))


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"cutoff": 0.0}, "got 0.0 and 1.4"),
        ({"cutoff": 1.5}, "got 1.5 and 1.4"),
        ({"nonzero_loss_cutoff": 2.1}, "got 0.5 and 2.1"),
        ({"per_anchor": 0}, "got 0"),
        ({"otherwise": "hardest"}, "'skip' or 'uniform', got 'hardest'"),
    ],
)
def test_bad_settings_are_described(keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DistanceWeightedMiner(**keywords)
