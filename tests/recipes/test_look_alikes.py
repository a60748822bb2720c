"""Look-alikes meet once they are known, and not before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metricface.data import ImageSet
from metricface.losses import TripletLoss
from metricface.recipes import LookAlikes, fit
from metricface.samplers import HardIdentitySampler
from tests.recipes.toys import quick

FAMILIES, SIZE = 8, 4
COUNT = FAMILIES * SIZE


def families() -> ImageSet:
    """Identity i looks like the others of family i mod 8, which share all but one pixel."""
    draw = np.random.default_rng(0)
    shared = draw.integers(0, 200, (FAMILIES, 8, 8))
    pixels = np.repeat(shared[np.arange(COUNT) % FAMILIES], 4, axis=0)
    who = np.repeat(np.arange(COUNT), 4)
    pixels[:, 0, 0] = who
    pixels += draw.integers(0, 3, pixels.shape)
    return ImageSet(pixels.astype(np.uint8), who, tuple(str(i) for i in range(COUNT)))


DATA = families()
NOBODY = np.empty((COUNT, 0), int)


def related(labels: Tensor) -> float:
    """Share of the pairs of identities in a batch that are of one family."""
    family = torch.unique(labels) % FAMILIES
    same = (family[:, None] == family).sum() - len(family)
    return float(same) / (len(family) * (len(family) - 1))


class Watching(nn.Module):
    """A loss that notes which identities meet."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        self.batches.append(labels.clone())
        value: Tensor = TripletLoss()(embeddings, labels)
        return value


def watched(steps: int, neighbours: Any = NOBODY, **given: Any) -> list[float]:
    """How related the identities of each batch are; 32 batches are an epoch."""
    watching = Watching()
    fit(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8)),
        DATA,
        watching,
        sampler=HardIdentitySampler(DATA.labels, SIZE, 2, neighbours),
        steps=steps,
        look_alikes=LookAlikes(**given),
        options=quick(evaluate_every=1000, lr=1e-5),
    )
    assert all(len(torch.unique(labels)) == SIZE for labels in watching.batches)
    return [related(labels) for labels in watching.batches]


def test_batches_are_random_during_the_warm_up_and_families_after_it() -> None:
    """By chance 3 of 31 others are of one's family; afterwards all of a batch are."""
    course = watched(3 * COUNT, warmup=2, k=SIZE - 1)
    warm_up, after = course[: 2 * COUNT], course[2 * COUNT :]
    assert 0.03 < np.mean(warm_up) < 0.2
    assert after == [1.0] * COUNT


def test_without_a_warm_up_they_meet_from_the_start() -> None:
    assert watched(COUNT, warmup=0, k=SIZE - 1) == [1.0] * COUNT


def test_until_then_the_sampler_keeps_the_neighbours_it_was_made_with() -> None:
    family = np.arange(COUNT) % FAMILIES
    known = np.stack([np.flatnonzero(family == family[i]) for i in range(COUNT)])
    assert watched(COUNT, known, warmup=1) == [1.0] * COUNT


def test_they_are_sought_when_they_are_due() -> None:
    plan = LookAlikes(every=3, warmup=2)
    assert [epoch for epoch in range(12) if plan.due(epoch)] == [2, 5, 8, 11]
    assert [epoch for epoch in range(4) if LookAlikes(warmup=0).due(epoch)] == [0, 1, 2, 3]


def test_the_present_network_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the epochs 1 and 2, with the weights of that moment; the moving average if any."""
    for ema in (None, 0.5):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
        asked: list[tuple[nn.Module, Tensor]] = []

        def note(asker: nn.Module, data: Any, **_: Any) -> Tensor:
            asked.append((asker, asker[1].weight.detach().clone()))  # type: ignore[index] # noqa: B023
            return torch.rand(len(data), 4)

        monkeypatch.setattr("metricface.recipes.look_alikes.embed_together", note)
        fit(
            model, DATA, TripletLoss(),
            sampler=HardIdentitySampler(DATA.labels, 16, 2, NOBODY, group=4),
            steps=20, look_alikes=LookAlikes(warmup=1, k=3), options=quick(ema=ema),
        )  # fmt: skip
        assert len(asked) == 2
        assert all((asker is model) == (ema is None) for asker, _ in asked)
        assert not torch.equal(asked[0][1], asked[1][1])


def test_a_few_images_of_each_identity_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at random, others each time; of an identity with one that one."""
    seen: list[tuple[np.ndarray[Any, Any], Tensor]] = []
    data = DATA.subset(np.arange(1, len(DATA.labels) - 3))  # 3 of the first, 1 of the last

    def note(_model: nn.Module, picked: Any, **_: Any) -> Tensor:
        items = [picked[i] for i in range(len(picked))]
        pixels = torch.stack([image.flatten() for image, _ in items])
        seen.append((np.array([int(label) for _, label in items]), pixels))
        return pixels

    monkeypatch.setattr("metricface.recipes.look_alikes.embed_together", note)
    sampler = HardIdentitySampler(data.labels, SIZE, 2, NOBODY)
    plan = LookAlikes(warmup=0, k=SIZE - 1, images=2)
    for epoch in range(2):
        plan.refresh(sampler, nn.Flatten(), data, epoch=epoch)
        assert np.bincount(seen[-1][0]).tolist() == [2] * (COUNT - 1) + [1]
    assert not torch.equal(seen[0][1], seen[1][1])
    assert all(related(torch.as_tensor(data.labels[batch])) == 1 for batch in sampler)


@pytest.mark.parametrize("name", ["every", "warmup", "k", "images"])
@pytest.mark.parametrize("value", [2.5, "4", True])
def test_counts_are_whole(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an integer of at least"):
        LookAlikes(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["every", "k", "images"])
def test_counts_must_be_counts(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1.*, got 0"):
        LookAlikes(**{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="warmup must be at least 0, got -1"):
        LookAlikes(warmup=-1)


@pytest.mark.parametrize(
    ("name", "known"), [("by", "'mean', 'sample', 'closest'"), ("index", "'exact', 'ivf', 'hnsw'")]
)
def test_an_unknown_way_to_seek_is_said_before_the_training(name: str, known: str) -> None:
    """The search itself comes after the warm-up, hundreds of steps later."""
    with pytest.raises(ValueError, match=f"{name} must be one of {known}, got 'nearest'"):
        LookAlikes(**{name: "nearest"})  # type: ignore[arg-type]
