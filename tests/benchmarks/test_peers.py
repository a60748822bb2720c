"""pytorch-metric-learning runs on the same embeddings, under the definitions stated."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from benchmarks.peers import pml
from metricface.distances import Euclidean
from metricface.losses import TripletLoss
from metricface.miners import BatchHardMiner


def batch() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(12, 4, generator=random, dtype=torch.float64)
    return torch.nn.functional.normalize(embeddings, dim=1), torch.arange(4).repeat_interleave(3)


def test_its_semi_hard_keeps_every_violator_in_euclidean_distance() -> None:
    embeddings, labels = batch()
    miner, loss = pml.semi_hard(0.2)
    found = {tuple(row) for row in torch.stack(list(miner(embeddings, labels))).T.tolist()}
    distance = torch.cdist(embeddings, embeddings).tolist()
    expected = set()
    terms = []
    for a, p, n in itertools.product(range(12), repeat=3):
        if a == p or labels[a] != labels[p] or labels[a] == labels[n]:
            continue
        gap = distance[a][n] - distance[a][p]
        if 0 < gap <= 0.2:
            expected.add((a, p, n))
            terms.append(0.2 - gap)
    assert found == expected
    assert len(expected) > 3
    value = float(loss(embeddings, labels, miner(embeddings, labels)))
    assert abs(value - sum(terms) / len(terms)) < 1e-6


def test_its_soft_margin_on_the_hardest_is_ours() -> None:
    embeddings, labels = batch()
    miner, loss = pml.batch_hard_soft()
    euclidean = Euclidean()
    mined = BatchHardMiner(distance=euclidean)(embeddings, labels)
    ours = TripletLoss("soft", euclidean)(embeddings, labels, mined)
    assert abs(float(loss(embeddings, labels, miner(embeddings, labels)) - ours)) < 1e-9
