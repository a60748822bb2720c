"""A sampler of batches in the place of a sampler of items is recognised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from metricface.samplers import PKSampler
from metricface.samplers.identity_sampler import IdentitySampler
from tests.samplers.cases import SAMPLERS

DATA = TensorDataset(torch.arange(12.0)[:, None], torch.arange(12) // 2)


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("given", [{"num_workers": 1}, {"batch_size": 4, "drop_last": True}])
def test_given_as_sampler_it_names_the_right_argument(
    make: Callable[[int], IdentitySampler], given: dict[str, Any]
) -> None:
    loader = DataLoader(DATA, sampler=make(0), **given)
    with pytest.raises(ValueError, match=r"give it as batch_sampler=\w+Sampler"):
        next(iter(loader))


def test_where_batches_are_wanted_they_come() -> None:
    """As batch_sampler, alone, and where a DataLoader leaves the batching to its sampler."""
    labels = DATA.tensors[1]
    expected = list(PKSampler(labels, 2, 2))
    ways: list[dict[str, Any]] = [
        {"batch_sampler": PKSampler(labels, 2, 2)},
        {"sampler": PKSampler(labels, 2, 2), "batch_size": None},
    ]
    for given in ways:
        batches = [rows.flatten().int().tolist() for rows, _ in DataLoader(DATA, **given)]
        assert batches == expected
