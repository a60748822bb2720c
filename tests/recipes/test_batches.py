"""Which batches come, and how they are numbered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from metricface.recipes import embed
from metricface.recipes.batches import Batch, Batches, identity_numbers
from metricface.samplers import PKSampler
from tests.recipes.toys import TRAIN

CPU = torch.device("cpu")


class Named(Dataset[tuple[Tensor, str]]):
    """Items of an input and a name; the input says which item it is."""

    def __init__(self, names: Sequence[str]) -> None:
        self.labels = list(names)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        return torch.tensor([float(index)]), self.labels[index]


class InputsOnly(Named):
    """Items that are inputs, with nothing beside them."""

    def __getitem__(self, index: int) -> Any:
        return super().__getitem__(index)[0]


NAMES = ["eve", "adam", "eve", "bob", "adam", "bob", "eve", "adam"]


def batches(data: Any, p: int = 3, **given: Any) -> Batches:
    settings: dict[str, Any] = {"augment": None, "workers": 0, "seed": 0, "device": CPU}
    return Batches(data, PKSampler(NAMES, p, 2), **{**settings, **given})


@pytest.mark.parametrize("kind", [Named, InputsOnly])
def test_a_batch_knows_its_items_and_numbers_their_identities(kind: type[Named]) -> None:
    """0 to C − 1 in the sorted order of the labels, whatever these are."""
    batch = batches(kind(NAMES)).draw()
    assert isinstance(batch, Batch)
    assert batch.inputs.squeeze(1).tolist() == batch.ids.tolist()
    expected = [["adam", "bob", "eve"].index(NAMES[i]) for i in batch.ids.tolist()]
    assert batch.labels.tolist() == expected
    assert sorted(set(expected)) == [0, 1, 2]


@pytest.mark.parametrize("labels", [[30, 10, 30, 20], np.array([3, 1, 3, 2]), list("cacb")])
def test_identities_are_numbered_in_sorted_order(labels: Any) -> None:
    data = Named("abcd")
    data.labels = labels
    assert identity_numbers(data).tolist() == [2, 0, 2, 1]


def test_a_sampler_of_other_data_is_refused() -> None:
    stream = batches(Named(NAMES[:4]))
    with pytest.raises(ValueError, match=r"asks for item [4-7] of 4: it was made for other labels"):
        stream.draw()


def test_epoch_after_epoch() -> None:
    stream = batches(Named(NAMES), p=2)
    drawn = [stream.draw().ids.tolist() for _ in range(5)]
    sampler = PKSampler(NAMES, 2, 2)
    assert drawn == [batch for _ in range(5) for batch in sampler][:5]


def test_what_is_fetched_ahead_does_not_move_the_place() -> None:
    stream = batches(Named(NAMES), p=1, workers=2)
    drawn = [stream.draw().ids.tolist() for _ in range(2)]
    other = batches(Named(NAMES), p=1)
    other.load_state_dict(stream.state_dict())
    whole = list(PKSampler(NAMES, 1, 2))
    assert [*drawn, other.draw().ids.tolist()] == whole
    stream.settle()
    assert stream.sampler.state_dict()["batch"] == 2


def test_the_augmentation_draws_from_its_own_generator() -> None:
    def shift(images: Tensor, generator: torch.Generator) -> Tensor:
        return images + torch.rand(len(images), 1, generator=generator)

    one, other = (batches(Named(NAMES), augment=shift, seed=seed) for seed in (0, 0))
    first = one.draw().inputs
    torch.rand(5)
    assert torch.equal(first, other.draw().inputs)
    assert not torch.equal(first, batches(Named(NAMES), augment=shift, seed=1).draw().inputs)
    assert (first - first.floor() > 0).all()


class TestEmbed:
    def test_in_order_whatever_the_batch(self) -> None:
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
        expected = model(TRAIN.tensor())
        for batch in (1, 7, 100):
            torch.testing.assert_close(embed(model, TRAIN, batch_size=batch), expected)

    def test_modes_come_back_part_by_part(self) -> None:
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(64))
        model[2].eval()
        before = model.state_dict()["2.running_mean"].clone()
        assert torch.equal(embed(model, TRAIN), embed(model, TRAIN))
        assert [part.training for part in model] == [True, True, False]
        assert torch.equal(model.state_dict()["2.running_mean"], before)

    def test_no_gradient(self) -> None:
        assert not embed(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), TRAIN).requires_grad

    def test_an_empty_set_is_refused(self) -> None:
        with pytest.raises(ValueError, match="the dataset is empty"):
            embed(nn.Flatten(), TRAIN.subset(np.empty(0, int)))
