"""What of a training is compared before it goes on."""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from torch import nn

from metricface.classifiers import ASoftmax, NormFace
from metricface.classifiers.annealing import Annealing
from metricface.data import affine_jitter
from metricface.distances import Cosine
from metricface.losses import MarginLoss, TripletLoss, VerificationSignal
from metricface.miners import RandomMiner, SemiHardMiner
from metricface.recipes import LookAlikes
from metricface.recipes.resuming.checkpoints import check_plain
from metricface.recipes.resuming.described import changes, described
from metricface.samplers import PKSampler

LABELS = np.arange(8) // 2


class Colour(Enum):
    RED = 1


class Circle:
    """Refers to itself."""

    def __init__(self, around: Any = None, radius: float = 1.0) -> None:
        self.around, self.radius = self, radius

    def measure(self) -> float:
        return self.radius


class Warm(nn.Module):
    """Trains what it was given, and remembers what that was."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.initial_scale = scale
        self.scale = nn.Parameter(torch.tensor(scale))


def closing_over(steps: int) -> Callable[[], int]:
    return lambda: steps


#: What differs, and by what phrase it is told.
DIFFERENT: list[tuple[object, object, str]] = [
    (TripletLoss(0.2), TripletLoss(0.3), "margin was 0.2, is 0.3"),
    (TripletLoss(), TripletLoss(distance=Cosine()), "distance.class was"),
    (TripletLoss(), TripletLoss(miner=RandomMiner()), "miner was None, is"),
    (SemiHardMiner(), SemiHardMiner(negative="random"), "negative was 'hardest', is 'random'"),
    (RandomMiner(seed=1), RandomMiner(seed=2), "draws.seed was 1, is 2"),
    (
        ASoftmax(3, 4),
        ASoftmax(3, 4, annealing=Annealing(minimum=4)),
        "annealing.minimum was 5, is 4",
    ),
    (ASoftmax(3, 4), ASoftmax(4, 4), "num_classes was 3, is 4"),
    (
        VerificationSignal(window=20),
        VerificationSignal(window=30),
        "genuine.ring was 'tensor [10]', is 'tensor [15]'",
    ),
    (PKSampler(LABELS, 2, 2), PKSampler(LABELS, 4, 2), "p was 2, is 4"),
    (
        PKSampler(LABELS, 2, 2),
        PKSampler(LABELS, 2, 2, coverage="images"),
        "coverage was 'identities', is 'images'",
    ),
    (
        pml_losses.TripletMarginLoss(distance=pml_distances.LpDistance(power=2)),
        pml_losses.TripletMarginLoss(distance=pml_distances.LpDistance(power=1)),
        "distance.power was 2, is 1",
    ),
    (pml_losses.ArcFaceLoss(3, 4, margin=20), pml_losses.ArcFaceLoss(3, 4, margin=30), "margin"),
    (pml_losses.MarginLoss(beta=1.0), pml_losses.MarginLoss(beta=1.1), "beta[0] was 1.0, is 1.1"),
    (Warm(2.0), Warm(3.0), "scale was 2.0, is 3.0"),
    (partial(max, 1), partial(max, 2), "args[0] was 1, is 2"),
    (partial(max, key=abs), partial(min, key=abs), "call was 'builtins.max', is 'builtins.min'"),
    (closing_over(1), closing_over(2), "steps was 1, is 2"),
    (Circle(radius=1).measure, Circle(radius=2).measure, "of.radius was 1, is 2"),
    (torch.float16, torch.bfloat16, "was 'torch.float16', is 'torch.bfloat16'"),
    (np.zeros(3), np.ones(3), "[0] was 0.0, is 1.0"),
    (np.zeros(300), np.zeros(301), "was 'array [300]', is 'array [301]'"),
    ([*range(300)], [*range(299), 0], "was '300 values, checksum"),
    ({"b", "a"}, {"a", "c"}, "[1] was \"'b'\", is \"'c'\""),
    (nn.Sequential(nn.Linear(2, 3)), nn.Sequential(nn.Linear(2, 4)), "0.out_features was 3, is 4"),
    (Path("a"), Path("b"), "was 'a', is 'b'"),
]


@pytest.mark.parametrize(("old", "new", "phrase"), DIFFERENT)
def test_a_change_is_named(old: object, new: object, phrase: str) -> None:
    found = changes(described(old), described(new), "it")
    assert any(phrase in each for each in found), found
    assert changes(described(old), described(old)) == []


@pytest.mark.parametrize("thing", [thing for old, new, _ in DIFFERENT for thing in (old, new)])
def test_a_description_can_be_saved_and_loaded(thing: object, tmp_path: Path) -> None:
    told = described(thing)
    check_plain(told)
    torch.save(told, tmp_path / "told.pt")
    assert torch.load(tmp_path / "told.pt", weights_only=True) == told


def test_plain_values_of_numpy_are_plain() -> None:
    for value in (np.float64(0.5), np.int64(3), np.bool_(True), np.str_("a")):
        assert type(described(value)) in (float, int, bool, str)
    assert described(Colour.RED) == "Colour.RED"


def test_state_is_no_setting() -> None:
    """What training changes is described as before: the same objects can be given again."""
    loss, miner = VerificationSignal(window=4, refresh_every=1, margin=0.5), RandomMiner()
    warm = Warm(2.0)
    before = described([loss, miner, warm])
    x = torch.rand(6, 4)
    miner(x, torch.arange(6) // 2)
    loss(x, torch.arange(6) // 2)
    assert float(loss.margin) != 0.5
    warm.scale.data.add_(1)
    assert described([loss, miner, warm]) == before


MOVED = [
    ("metricface.data.augment.affine_jitter", affine_jitter),
    ("metricface.recipes.look_alikes.LookAlikes", LookAlikes),
    (
        "metricface.recipes.settings.closing.<locals>.over",
        "metricface.recipes.closing.<locals>.over",
    ),
]


@pytest.mark.parametrize(("before", "thing"), MOVED)
def test_a_file_of_this_library_may_move(before: str, thing: object) -> None:
    assert changes({"call": before}, {"call": described(thing)}) == []


@pytest.mark.parametrize(
    "other",
    [
        "metricface.data.augment.random_flip",
        "metricface.samplers.augment.affine_jitter",
        "metricface.data.augment.affine_jitter.<locals>.inner",
        "elsewhere.data.augment.affine_jitter",
    ],
)
def test_another_thing_has_not_moved(other: str) -> None:
    assert changes(other, described(affine_jitter))


def test_what_refers_to_itself_comes_to_an_end() -> None:
    assert described(Circle()) == {
        "class": f"{__name__}.Circle", "around": "itself", "radius": 1.0,
    }  # fmt: skip


def test_lists_of_another_length_name_the_first_difference() -> None:
    old = str(nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Tanh())).splitlines()
    new = str(nn.Sequential(nn.Flatten(), nn.Tanh())).splitlines()
    assert changes(old, new, "model") == [
        "model had 5 entries, have 4",
        "model[2] was '  (1): ReLU()', is '  (1): Tanh()'",
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"sampler": {"order": np.zeros(2)}}, "sampler.order is a numpy.ndarray"),
        ({"rates": [0.1, np.float64(0.2)]}, r"rates\[1\] is a numpy.float64"),
        ({"rule": operator.add}, "rule is a builtins.builtin_function_or_method"),
        ({"seen": {1, 2}}, "seen is a builtins.set"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(state: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        check_plain(state)


@pytest.mark.parametrize(
    ("made", "other"),
    [
        (lambda: VerificationSignal(margin=0.2), lambda: VerificationSignal(margin=0.3)),
        (lambda: MarginLoss(beta=1.2), lambda: MarginLoss(beta=1.0)),
        (
            lambda: NormFace(50, 4, scale=20.0, learn_scale=True),
            lambda: NormFace(50, 4, scale=30.0, learn_scale=True),
        ),
    ],
)
def test_what_training_moves_is_compared_by_where_it_began(
    made: Callable[[], nn.Module], other: Callable[[], nn.Module]
) -> None:
    begun = described(made())
    moved = made()
    with torch.no_grad():
        for value in (*moved.parameters(), *moved.buffers()):
            value.add_(1)
    assert changes(begun, described(moved)) == []
    assert changes(begun, described(other()))
