"""Errors that say what arrived, and folders that are not spoilt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from metricface.classifiers import Softmax
from metricface.data import ImageSet
from metricface.files import LOCK
from metricface.losses import TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner, SemiHardMiner
from metricface.recipes import LookAlikes, Objective, Options, embed, in_defense_schedule
from metricface.recipes.resuming.checkpoints import NAME, PREVIOUS
from metricface.recipes.resuming.sealed import save_sealed
from metricface.samplers import PKSampler
from tests.recipes.toys import DIM, TRAIN, UNSEEN, Noise, network, people, quick, sampler, train


def other_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    return images


BEGUN: dict[str, Any] = {
    "loss": TripletLoss(0.2),
    "steps": 4,
    "miner": SemiHardMiner(0.2),
    "memory": CrossBatchMemory(30, DIM),
    "validation": UNSEEN,
}
OPTIONS: dict[str, Any] = {
    "augment": Noise(0.1),
    "schedule": in_defense_schedule(4),
    "optimizer": partial(torch.optim.SGD, momentum=0.9),
}


def wider() -> nn.Module:
    model = network()
    model.append(nn.ReLU())
    return model


def frozen() -> nn.Module:
    model = network()
    model[1].bias.requires_grad_(False)
    return model


def relabelled() -> ImageSet:
    return ImageSet(TRAIN.images, np.roll(TRAIN.labels, 1), TRAIN.names)


def options(**changed: Any) -> dict[str, Any]:
    return {"options": quick(**{**OPTIONS, **changed})}


#: What is changed, and how the refusal names it.
CHANGED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "margin of the loss": (lambda: {"loss": TripletLoss(0.3)}, r"losses\[0\].margin was 0.2"),
    "another loss": (
        lambda: {"loss": [TripletLoss(0.2), TripletLoss(0.2)]},
        "losses had 1 entries, have 2",
    ),
    "margin of the miner": (lambda: {"miner": SemiHardMiner(0.1)}, "miner.margin was 0.2, is 0.1"),
    "no memory": (lambda: {"memory": None}, "memory was .*, is None"),
    "size of the memory": (
        lambda: {"memory": CrossBatchMemory(31, DIM)},
        "memory.size was 30, is 31",
    ),
    "weight of the memory": (
        lambda: {
            "loss": Objective(
                TripletLoss(0.2),
                miner=SemiHardMiner(0.2),
                memory=CrossBatchMemory(30, DIM),
                memory_weight=0.5,
            ),
            "miner": None,
            "memory": None,
        },
        "memory_weight was 1.0, is 0.5",
    ),
    "identities in a batch": (lambda: {"sampler": sampler(p=4)}, "sampler.p was 5, is 4"),
    "seed of the sampler": (lambda: {"sampler": sampler(seed=1)}, "sampler.seed was 0, is 1"),
    "steps": (lambda: {"steps": 5}, "steps was 4, is 5"),
    "a layer more": (lambda: {"model": wider()}, r"model had 4 entries, have 5; model\[3\] was"),
    "a frozen layer": (
        lambda: {"model": frozen()},
        r"parameters.1.bias was 'float32 \[8\]', is 'float32 \[8\] frozen'",
    ),
    "precision": (
        lambda: {"model": network().double()},
        r"parameters.1.weight was 'float32 \[8, 64\]', is 'float64 \[8, 64\]'",
    ),
    "size of the data": (
        lambda: {"data": people(each=5), "sampler": PKSampler(people(each=5).labels, 5, 4)},
        "data.items was 40, is 50",
    ),
    "labels of the data": (
        lambda: {"data": relabelled(), "sampler": PKSampler(relabelled().labels, 5, 4)},
        "data.labels was 'checksum",
    ),
    "other validation": (lambda: {"validation": people(7)}, "validation.items was 24, is 28"),
    "learning rate": (lambda: options(lr=2e-3), "options.lr was 0.001, is 0.002"),
    "another augmentation": (lambda: options(augment=other_noise), "options.augment was"),
    "more of the same": (lambda: options(augment=Noise(0.2)), "options.augment.amount was 0.1"),
    "schedule": (
        lambda: options(schedule=in_defense_schedule(4, start=0.5)),
        "options.schedule.lr_lambda.start was 0.6, is 0.5",
    ),
    "optimizer": (
        lambda: options(optimizer=partial(torch.optim.SGD, momentum=0.8)),
        "options.optimizer.momentum was 0.9, is 0.8",
    ),
    "moving average": (lambda: options(ema=0.9), "options.ema was None, is 0.9"),
    "seed": (lambda: options(seed=1), "options.seed was 0, is 1"),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    train(**BEGUN, **options(), folder=folder)
    return folder


@pytest.mark.parametrize("name", CHANGED)
def test_changed_settings_are_named(name: str, begun: Path) -> None:
    change, phrase = CHANGED[name]
    before = (begun / NAME).read_bytes()
    with pytest.raises(ValueError, match=phrase) as refused:
        train(**{**BEGUN, **options(), **change(), "folder": begun})
    sentence = str(refused.value)
    assert sentence.startswith(f"{begun / NAME} is of a training with other settings: ")
    assert sentence.endswith(". Give the old settings or another folder.")
    assert (begun / NAME).read_bytes() == before


def test_only_what_changed_is_named(begun: Path) -> None:
    with pytest.raises(ValueError, match="other settings") as refused:
        train(**{**BEGUN, **options(lr=2e-3), "steps": 5, "folder": begun})
    assert "steps was 4, is 5; options.lr was 0.001, is 0.002." in str(refused.value)


def test_of_many_changes_some_are_named(begun: Path) -> None:
    with pytest.raises(ValueError, match=r"; \d+ more\. Give the old settings"):
        train(TripletLoss(0.5), 9, sampler=sampler(4, 2), folder=begun)


def test_what_changes_nothing_may_change(begun: Path) -> None:
    assert train(**BEGUN, **options(workers=2, tensorboard=True), folder=begun).step == 4


class TestBrokenFiles:
    def refused(self, folder: Path, why: str) -> None:
        before = (folder / NAME).read_bytes()
        with pytest.raises(ValueError, match=why) as refused:
            train(TripletLoss(), folder=folder)
        assert str(refused.value).startswith(f"{folder / NAME} is not a checkpoint that can be")
        assert str(refused.value).endswith("; move it away to begin anew")
        assert (folder / NAME).read_bytes() == before

    @pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
    def test_truncated(self, kept: float, tmp_path: Path) -> None:
        train(TripletLoss(), folder=tmp_path)
        (tmp_path / PREVIOUS).unlink()
        whole = (tmp_path / NAME).read_bytes()
        (tmp_path / NAME).write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
        self.refused(tmp_path, "is not a checkpoint")

    def test_a_text(self, tmp_path: Path) -> None:
        (tmp_path / NAME).write_text("weights, as it were")
        self.refused(tmp_path, "is not a checkpoint")

    @pytest.mark.parametrize("other", [{"model": torch.zeros(2)}, torch.zeros(2)])
    def test_a_file_of_torch_that_is_something_else(self, other: object, tmp_path: Path) -> None:
        save_sealed(other, tmp_path / NAME)
        self.refused(tmp_path, r"\((it is a Tensor, not a dict of parts|settings is missing)\)")

    def test_code_in_a_checkpoint_is_not_run(self, tmp_path: Path) -> None:
        """``weights_only=True``: unpickling must not call what the file names."""
        victim = tmp_path / "written by the checkpoint"

        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (victim,)

        save_sealed({"settings": Evil(), "training": {}, "history": {}}, tmp_path / NAME)
        self.refused(tmp_path, "Weights only load failed")
        assert not victim.exists()


class Unlabelled(TensorDataset):
    def __init__(self) -> None:
        super().__init__(torch.zeros(40, 1, 8, 8))


class FewLabels(Unlabelled):
    labels = (0, 1, 2)


class Forgetful:
    """A batch sampler of other libraries' kind."""

    def __iter__(self) -> Iterator[list[int]]:
        yield [0, 1, 4, 5]


class Idle(Forgetful):
    """One that never gives a batch."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from ()

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to remember."""


class Numpy(Forgetful):
    """One whose state could be saved, but never loaded safely."""

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        return {"order": np.zeros(2)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Never called."""


def exploding(images: Tensor, generator: torch.Generator) -> Tensor:
    return images * torch.inf


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"steps": 2.5}, TypeError, "steps must be an integer of at least 1, got 2.5"),
        ({"steps": "4"}, TypeError, "steps must be an integer of at least 1, got the string '4'"),
        (
            {"data": Unlabelled()},
            TypeError,
            ".labels or .targets, and .* got Unlabelled",
        ),
        ({"data": FewLabels()}, ValueError, "has 40 items, but its .labels are 3"),
        ({"validation": Unlabelled()}, TypeError, "data must have .labels .*, got Unlabelled"),
        ({"sampler": Forgetful()}, TypeError, "Forgetful has no state_dict, so a training with"),
        ({"sampler": PKSampler}, TypeError, r"sampler must .*class PKSampler: give PKSampler\(…\)"),
        ({"loss": TripletLoss}, TypeError, "loss must be an instance, got the class TripletLoss"),
        ({"loss": 0.5}, TypeError, "a loss must be a module, got float"),
        ({"miner": SemiHardMiner}, TypeError, "miner must be an instance, got the class SemiHard"),
        (
            {"memory": CrossBatchMemory},
            TypeError,
            "memory must be an instance, got the class Cross",
        ),
        ({"look_alikes": LookAlikes}, TypeError, "look_alikes must be an instance, got the class"),
        ({"model": nn.Linear}, TypeError, "model must be an instance, got the class Linear"),
        ({"options": Options}, TypeError, "options must be an instance, got the class Options"),
        ({"sampler": Idle()}, ValueError, "Idle yields no batch to train on"),
        (
            {"sampler": PKSampler(np.roll(TRAIN.labels, 1), 5, 4)},
            ValueError,
            "made for other labels than the data has: only to the sampler items 0 and 39 are of",
        ),
        (
            {"loss": Objective(TripletLoss()), "miner": BatchHardMiner()},
            ValueError,
            "an Objective brings its own miner and memory",
        ),
        (
            {"look_alikes": LookAlikes()},
            ValueError,
            "look_alikes needs a HardIdentitySampler, got PKSampler",
        ),
        ({"options": quick(patience=1)}, ValueError, "patience needs validation data, got none"),
        ({"options": quick(tensorboard=True)}, ValueError, "tensorboard=True needs a folder"),
        (
            {"validation": UNSEEN, "options": quick(metric="recall_at_1")},
            ValueError,
            "metric is 'recall_at_1', but the evaluation gave .*gap, loss",
        ),
        (
            {"validation": UNSEEN, "options": quick(evaluate=lambda x, y: {"loss": 1, "gap": 1})},
            ValueError,
            "evaluate gave loss, which the history itself has",
        ),
        ({"model": network().requires_grad_(False)}, ValueError, "nothing to train: all param"),
    ],
)
def test_what_cannot_be_trained(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(**{"loss": TripletLoss(), **given})


class Returning(nn.Module):
    """A network that returns its embeddings in something."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.form = network(), form

    def forward(self, images: Tensor) -> Any:
        return self.form(self.net(images))


@pytest.mark.parametrize(
    ("form", "got"),
    [
        (lambda x: {"last": x, "pooled": x}, "a dict of 'last', 'pooled': wrap it"),
        (lambda x: (x, x), "a tuple of 2: wrap it"),
        (lambda x: [x], "a list of 1: wrap it"),
        (lambda x: x.detach().numpy(), "a ndarray: wrap it"),
    ],
)
@pytest.mark.parametrize("chunk", [None, 7])
def test_a_model_that_returns_no_tensor(
    form: Callable[[Tensor], Any], got: str, chunk: int | None
) -> None:
    said = f"the model must return one tensor of embeddings .*, got {got}"
    with pytest.raises(TypeError, match=said):
        train(TripletLoss(), model=Returning(form), options=quick(chunk=chunk))
    with pytest.raises(TypeError, match=said):
        embed(Returning(form), UNSEEN)


def test_a_loader_is_no_dataset() -> None:
    loader: Any = DataLoader(UNSEEN, batch_size=4)
    with pytest.raises(TypeError, match=r"items by number and a length, got a DataLoader: give "):
        embed(network(), loader)
    with pytest.raises(TypeError, match="model must be an instance, got the class Linear"):
        embed(nn.Linear, UNSEEN)  # type: ignore[arg-type]


def test_weights_that_are_split_over_processes_are_refused() -> None:
    """Those of a sharded classifier are DTensors, which say where their parts are."""
    classifier = Softmax(10, 8)
    classifier.weight.placements = ()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"losses\.0\.weight is split over the processes"):
        train(classifier)


def test_what_could_not_be_loaded_is_refused_before_the_first_step(tmp_path: Path) -> None:
    noise = Noise()
    noise.countdown = 0
    with pytest.raises(TypeError, match=r"training.batches.sampler.order is a numpy.ndarray"):
        train(TripletLoss(), sampler=Numpy(), folder=tmp_path, options=quick(augment=noise))
    assert [each.name for each in tmp_path.iterdir()] == [LOCK]


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    class Loss(nn.Module):
        calls = 0

        def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
            Loss.calls += 1
            return embeddings.sum() * (float("inf") if Loss.calls == 4 else 0.0)

    with pytest.raises(ValueError, match=r"the loss is -?(nan|inf) by step 4; a lower"):
        train(Loss(), 6, folder=tmp_path)
    assert torch.load(tmp_path / NAME, weights_only=True)["training"]["step"] == 2


def test_embeddings_that_are_not_finite_are_named() -> None:
    with pytest.raises(ValueError, match="embeddings hold NaN or infinity, first in row 0"):
        train(TripletLoss(), 2, options=quick(augment=exploding))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"evaluate_every": 0}, "evaluate_every must be at least 1, got 0"),
        ({"evaluate_every": 2.5}, "evaluate_every must be an integer of at least 1, got 2.5"),
        ({"chunk": 0}, "chunk must be at least 1 or None, got 0"),
        ({"chunk": 2.5}, "chunk must be an integer of at least 1 or None, got 2.5"),
        ({"patience": 0}, "patience must be at least 1 or None, got 0"),
        ({"patience": 1.5}, "patience must be an integer of at least 1 or None, got 1.5"),
        ({"patience": True}, "patience must be an integer of at least 1 or None, got True"),
        ({"lr": 0.0}, "lr must be above 0 and finite, got 0.0"),
        ({"lr": math.nan}, "lr must be above 0 and finite, got nan"),
        ({"lr": math.inf}, "lr must be above 0 and finite, got inf"),
        ({"lr": "1e-3"}, "lr must be a number, got the string '1e-3'"),
        ({"lr": None}, "lr must be a number, got None"),
        ({"loss_lr": -1.0}, "loss_lr must be above 0 and finite, got -1.0"),
        ({"clip": 0.0}, "clip must be above 0 and finite, got 0.0"),
        ({"ema": 1.0}, "ema must be between 0 and 1, got 1.0"),
        ({"ema": math.nan}, "ema must be between 0 and 1, got nan"),
        ({"ema": "x"}, "ema must be a number, got the string 'x'"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
        ({"workers": 1.5}, "workers must be an integer of at least 0, got 1.5"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": 1.5}, "seed must be an integer of at least 0, got 1.5"),
        ({"amp": torch.float32}, "amp must be torch.bfloat16, torch.float16 or None, got torch.fl"),
        ({"metric": None}, "metric must be the name of a number that evaluate gives, got None"),
        ({"metric": "eer"}, "larger is better, but not of 'eer': take 'recall_at_1', 'map_at_r'"),
        ({"metric": "loss"}, "larger is better, but not of 'loss'"),
        ({"metric": "seconds"}, "larger is better, but not of 'seconds'"),
        ({"metric": "mining_seconds"}, "larger is better, but not of 'mining_seconds'"),
        (
            {"optimizer": partial(torch.optim.SGD, lr=0.1)},
            r"optimizer brings lr=0.1, which .* give Options\(lr=0.1\) instead",
        ),
        (
            {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.1)},
            "optimizer must make one from parameter groups, such as .*, got SGD",
        ),
    ],
)
def test_options_that_mean_nothing(given: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Options(**given)


def test_numbers_of_numpy_are_options() -> None:
    """As a search for settings draws them."""
    chosen = {"lr": np.float32(0.5), "ema": np.float64(0.5), "patience": np.int64(3)}
    assert Options(**chosen, evaluate_every=np.int32(2), seed=np.uint64(2**63)).patience == 3


def test_learning_rates_of_numpy_can_be_saved(tmp_path: Path) -> None:
    """As a search for settings draws them."""
    rates = {"lr": np.float64(1e-3), "loss_lr": np.float32(0.5)}
    for _ in range(2):
        train(TripletLoss(np.float64(0.2)), folder=tmp_path, options=quick(**rates))
