"""Datasets as other libraries have them: ``.targets``, subsets of them, items that are dicts."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

from metricface.evaluation import retrieval
from metricface.losses import TripletLoss
from metricface.recipes import Fit, LookAlikes, Options, embed, fit, softmax_then_triplet
from metricface.recipes.batches import identity_numbers
from metricface.samplers import HardIdentitySampler, PKSampler
from tests.recipes.toys import TRAIN

INPUTS = TRAIN.tensor()
LABELS: list[int] = TRAIN.labels.tolist()


class Targets(Dataset[tuple[Tensor, int]]):
    """As torchvision's sets are."""

    def __init__(self) -> None:
        self.targets = LABELS

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Any:
        return INPUTS[index], self.targets[index]


class Dicts(Targets):
    """Items as those of many other sets are."""

    def __getitem__(self, index: int) -> Any:
        return {"image": INPUTS[index], "label": self.targets[index], "path": f"{index}.jpg"}


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(INPUTS[0].numel(), 3))


def trained(data: Any, folder: Path | None = None, steps: int = 3, **options: Any) -> Fit:
    chosen = Options(progress=False, evaluate_every=2, evaluate=recall, **options)
    sampler = PKSampler(data, 3, 2)
    return fit(
        model(),
        data,
        TripletLoss(),
        sampler=sampler,
        steps=steps,
        validation=data,
        folder=folder,
        options=chosen,
    )


def recall(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    return {"recall_at_1": retrieval(embeddings, labels, ks=(1,)).recall[1]}


def weights(done: Fit) -> list[Tensor]:
    return [each.detach() for each in done.model.parameters()]


def test_targets_and_dicts_train_as_labels_do(tmp_path: Path) -> None:
    expected = weights(trained(TRAIN))
    assert all(map(torch.equal, weights(trained(Targets())), expected))
    image = itemgetter("image")
    for _ in range(2):  # the second call finds the training finished, and as it was set
        done = trained(Dicts(), tmp_path / "run", batch=image, workers=1)
        assert all(map(torch.equal, weights(done), expected))
    torch.testing.assert_close(
        embed(done.model, Dicts(), batch=image, batch_size=7), embed(done.model, TRAIN)
    )


def test_every_recipe_takes_them() -> None:
    options = Options(progress=False, evaluate_every=2, batch=itemgetter("image"))
    sampler = HardIdentitySampler(Dicts(), 3, 2, neighbours=torch.empty(10, 0, dtype=torch.int64))
    softmax_then_triplet(
        model(),
        Dicts(),
        sampler=sampler,
        steps=(2, 6),
        look_alikes=LookAlikes(every=1, warmup=0, k=2),
        options=options,
    )


def test_a_subset_knows_the_labels_of_its_items() -> None:
    half = Subset(Targets(), list(range(0, len(LABELS), 2)))
    assert identity_numbers(half).tolist() == identity_numbers(TRAIN)[::2].tolist()
    assert trained(half).step == 3
    assert PKSampler(half, 3, 2).identities == sorted(set(LABELS[::2]))


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(TypeError, match=r"a dict with 'image', 'label', 'path', .*batch="):
        trained(Dicts())
    with pytest.raises(TypeError, match=r"batch= gave a list"):
        trained(Dicts(), batch=itemgetter("path"))
    with pytest.raises(TypeError, match=r"of inputs at a time is batch_size="):
        embed(model(), TRAIN, batch=64)  # type: ignore[arg-type]
    bare = TensorDataset(INPUTS)
    with pytest.raises(TypeError, match=r"TensorDataset has neither \.labels nor \.targets"):
        PKSampler(bare, 3, 2)
    with pytest.raises(TypeError, match=r"must have \.labels or \.targets, and a length"):
        fit(model(), bare, TripletLoss(), sampler=PKSampler(LABELS, 3, 2), steps=1)
