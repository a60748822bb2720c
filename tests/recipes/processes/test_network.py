"""The network as several processes have it; what only several show is in tests/distributed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metricface.recipes.processes import network
from metricface.recipes.processes.network import plain, shared, synchronised


def normalised() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))


def test_one_process_has_the_network_as_it_is() -> None:
    model = normalised()
    assert plain(model) is shared(model) is model
    with synchronised(model):
        assert type(model[1][0]) is nn.BatchNorm1d  # type: ignore[index]


class TestSynchronised:
    @pytest.fixture(autouse=True)
    def two_processes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "world_size", lambda: 2)

    def test_the_layers_are_their_own_again_with_what_they_learned(self) -> None:
        model = normalised().to("meta")  # any device but the CPU
        inner = model[1]
        assert isinstance(inner, nn.Sequential)
        before = inner[0]
        with synchronised(model):
            during = inner[0]
            assert isinstance(during, nn.SyncBatchNorm)
            during.eval()
        assert inner[0] is before
        assert not before.training
        assert isinstance(before, nn.BatchNorm1d)
        assert during.weight is before.weight
        assert during.running_mean is before.running_mean

    def test_it_is_refused_where_torch_cannot(self) -> None:
        with pytest.raises(ValueError, match="needs a model on a GPU"), synchronised(normalised()):
            pass

    def test_a_network_without_is_no_matter(self) -> None:
        with synchronised(nn.Linear(2, 1)):
            pass


def test_from_rank_0_without_others_changes_nothing() -> None:
    tensor = torch.ones(2)
    network.from_rank_0([tensor])
    assert tensor.tolist() == [1, 1]
