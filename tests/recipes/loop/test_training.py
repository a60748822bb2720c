"""One step and what goes along with it: chunks, precision, averages, clipping, schedules."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from metricface.classifiers import Softmax
from metricface.diagnostics import BatchMonitor, csv_log
from metricface.losses import MarginLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner
from metricface.recipes import Augment, Objective, embed, fit, in_defense_schedule
from metricface.recipes.batches import Batches
from metricface.recipes.loop.training import Training
from metricface.recipes.options import Options
from metricface.recipes.resuming.random_state import seeded
from tests.oracles.recipes import in_defense_rate, moving_average
from tests.recipes.toys import (
    DIM,
    IDENTITIES,
    TRAIN,
    KilledError,
    Noise,
    network,
    quick,
    restless_network,
    sampler,
    train,
)

CPU = torch.device("cpu")


def training(
    model: nn.Module, loss: Any = None, *, augment: Augment | None = None, **options: Any
) -> Training:
    objective = Objective(TripletLoss(5.0) if loss is None else loss)
    batches = Batches(TRAIN, sampler(), augment=augment, workers=0, seed=0, device=CPU)
    return Training(model, objective, batches, quick(**options), device=CPU)


def gradients(model: nn.Module) -> list[Tensor]:
    found = [each.grad for each in model.parameters()]
    assert all(grad is not None for grad in found)
    return [grad for grad in found if grad is not None]


def double(images: Tensor, generator: torch.Generator) -> Tensor:
    return images.double()


class Dropout(nn.Module):
    """A network that draws, and counts how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, DIM))
        self.sizes: list[int] = []
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        dropped = self.net[1](self.net[0](images))
        self.seen.append(dropped.detach())
        embedded: Tensor = self.net[2](dropped)
        return embedded


class TestChunk:
    @pytest.mark.parametrize("chunk", [1, 7, 20, 100])
    def test_the_gradient_is_that_of_the_whole_batch(self, chunk: int) -> None:
        """Mean and nonzero-mean losses alike: the chunks meet in the loss."""
        nets = [network().double(), network().double()]
        whole = training(nets[0], augment=double)
        parts = training(nets[1], augment=double, chunk=chunk)
        assert torch.equal(whole.advance(), parts.advance())
        for one, other in zip(gradients(nets[0]), gradients(nets[1]), strict=True):
            assert one.abs().sum() > 0
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)

    def test_inputs_go_through_by_chunks_and_once_more_on_the_way_back(self) -> None:
        model = Dropout()
        with seeded(0):
            training(model, chunk=8).advance()
        assert model.sizes[:3] == [8, 8, 4]
        assert sorted(model.sizes[3:]) == [4, 8, 8]

    def test_dropout_falls_as_it_fell(self) -> None:
        """What is computed anew is what the embeddings came from."""
        model = Dropout()
        with seeded(0):
            training(model, chunk=10).advance()
        first, again = model.seen[:2], model.seen[2:]
        assert not torch.equal(first[0] == 0, first[1] == 0)
        for chunk in first:
            assert any(torch.equal(chunk, other) for other in again)

    def test_adding_up_gradients_of_small_batches_is_another_gradient(self) -> None:
        """Why ``chunk`` is not the usual accumulation."""
        x = torch.stack([TRAIN[i][0] for i in range(20)])
        labels, model, loss = torch.from_numpy(TRAIN.labels[:20]), network(), TripletLoss(5.0)
        loss(model(x), labels).backward()
        whole = [grad.clone() for grad in gradients(model)]
        model.zero_grad()
        for half in (slice(0, 10), slice(10, 20)):
            (loss(model(x[half]), labels[half]) / 2).backward()
        gap = max((a - b).abs().max() for a, b in zip(gradients(model), whole, strict=True))
        assert gap > 0.1 * max(grad.abs().max() for grad in whole)


class TestPrecision:
    def test_bfloat16_leaves_parameters_alone(self) -> None:
        seen = []

        def look(embeddings: Tensor, labels: Tensor) -> Any:
            seen.append(embeddings.dtype)
            return BatchHardMiner()(embeddings, labels)

        model, loss = restless_network(), MarginLoss()
        inside: list[torch.dtype] = []
        model[1].register_forward_hook(lambda m, args, out: inside.append(out.dtype))
        done = train(loss, model=model, miner=look, options=quick(amp=torch.bfloat16))
        assert inside[0] == torch.bfloat16
        assert set(seen) == {torch.float32}  # mining and losses
        values = [*done.model.state_dict().values(), loss.beta]
        assert {v.dtype for v in values if v.is_floating_point()} == {torch.float32}

    def test_bfloat16_goes_the_way_of_float32(self) -> None:
        exact = train(TripletLoss(5.0)).model.state_dict()
        rough = train(TripletLoss(5.0), options=quick(amp=torch.bfloat16)).model.state_dict()
        moved = exact["1.weight"] - network().state_dict()["1.weight"]
        also = rough["1.weight"] - network().state_dict()["1.weight"]
        assert not torch.equal(moved, also)
        assert torch.nn.functional.cosine_similarity(moved.ravel(), also.ravel(), dim=0) > 0.9

    def test_double_stays_double(self) -> None:
        seen = []

        class Look(nn.Module):
            def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
                seen.append(embeddings.dtype)
                value: Tensor = TripletLoss()(embeddings, labels)
                return value

        memory = CrossBatchMemory(30, DIM)
        losses = [Look(), TripletLoss(), Softmax(IDENTITIES, DIM)]
        done = train(losses, model=network().double(), memory=memory, options=quick(augment=double))
        assert seen == [torch.float64] * 2
        assert {v.dtype for v in done.model.state_dict().values()} == {torch.float64}

    def test_embeddings_of_a_double_model_are_double(self) -> None:
        class Double(nn.Module):
            def forward(self, images: Tensor) -> Tensor:
                return images.flatten(1).double()

        assert embed(Double(), TRAIN).dtype == torch.float64
        assert embed(nn.Flatten(), TRAIN).dtype == torch.float32
        half = embed(network(), TRAIN, amp=torch.bfloat16)
        assert half.dtype == torch.float32
        assert torch.equal(half, half.bfloat16().float())

    def test_a_step_that_float16_overflows_is_no_step_of_the_schedule(self) -> None:
        model = network()
        steps = training(
            model, amp=torch.float16, schedule=partial(StepLR, step_size=1, gamma=0.5), lr=1.0
        )
        steps.objective.weights = [100.0]
        before = [each.detach().clone() for each in model.parameters()]
        steps.advance()
        assert steps.scaler.get_scale() < 65536
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
        assert steps.optimizer.param_groups[0]["lr"] == 1.0
        while all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True)):
            assert steps.step < 10
            steps.advance()
        assert steps.optimizer.param_groups[0]["lr"] == 0.5


class TestMovingAverage:
    @pytest.mark.parametrize("decay", [0.3, 0.9])
    def test_weights_and_statistics_follow(self, decay: float) -> None:
        model = restless_network().double()
        steps = training(model, augment=double, ema=decay, lr=0.05)
        assert steps.average is not None
        seen: list[dict[str, Tensor]] = []
        for _ in range(5):
            steps.advance()
            seen.append({n: v.detach().clone() for n, v in model.state_dict().items()})
        averaged = steps.average.module.state_dict()
        for name in ("1.weight", "2.running_mean", "5.bias"):
            history = [float(state[name].ravel()[0]) for state in seen]
            assert len(set(history)) == 5
            expected = moving_average(history, decay)
            assert float(averaged[name].ravel()[0]) == pytest.approx(expected, rel=1e-12)

    def test_it_is_what_is_evaluated_and_returned(self) -> None:
        seen: list[Tensor] = []

        def evaluate(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
            seen.append(embeddings)
            return {"gap": 0.0}

        def run(**options: Any) -> nn.Module:
            given = quick(lr=0.1, evaluate=evaluate, **options)
            return train(TripletLoss(5.0), 6, validation=TRAIN, options=given).model

        plain, averaged = run(), run(ema=0.9)
        assert not torch.equal(plain[1].weight, averaged[1].weight)  # type: ignore[index]
        assert torch.equal(embed(averaged, TRAIN), seen[-1])


@pytest.mark.parametrize("largest", [1e-3, 1e3])
def test_the_gradient_is_clipped_over_model_and_loss_together(largest: float) -> None:
    def step(clip: float | None) -> Tensor:
        model, loss = network(), MarginLoss(num_classes=IDENTITIES)
        start = [each.detach().clone() for each in (*model.parameters(), loss.beta)]
        training(model, loss, optimizer=SGD, lr=1.0, clip=clip).advance()
        moved = zip(start, (*model.parameters(), loss.beta), strict=True)
        return torch.cat([(a - b).ravel() for a, b in moved]).detach()

    free, clipped = step(None), step(largest)
    expected = min(float(free.norm()), largest)
    assert float(clipped.norm()) == pytest.approx(expected, rel=1e-3)
    torch.testing.assert_close(clipped, free * (expected / free.norm()), rtol=1e-2, atol=1e-6)


class TestRates:
    @settings(max_examples=40, deadline=None)
    @given(
        steps=st.integers(1, 200),
        start=st.floats(0, 0.99),
        factor=st.floats(1e-4, 1),
        share=st.floats(0, 1),
    )
    def test_in_defense(self, steps: int, start: float, factor: float, share: float) -> None:
        t = int(share * steps)
        optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = in_defense_schedule(steps, start, factor)(optimizer)
        rate = 0.3 * scheduler.lr_lambdas[0](t)  # type: ignore[attr-defined]
        assert rate == pytest.approx(in_defense_rate(t, 0.3, start * steps, steps, factor))

    def test_it_is_stepped_with_the_optimizer_for_model_and_loss(self) -> None:
        """10 steps, the rate constant for 6: eq. 9 with both learning rates."""
        rates: list[list[float]] = []

        class Look(SGD):
            def step(self, closure: Any = None) -> Any:
                rates.append([group["lr"] for group in self.param_groups])
                return super().step(closure)

        options = quick(
            lr=1e-2, loss_lr=1e-1, optimizer=Look, schedule=in_defense_schedule(10, start=0.6)
        )
        train(MarginLoss(), 10, options=options)
        for t, found in enumerate(rates):
            both = [in_defense_rate(t, first, 6, 10, 1e-3) for first in (1e-2, 1e-1)]
            assert found == pytest.approx(both)
        assert len(rates) == 10

    def test_model_and_loss_have_rates_of_their_own(self) -> None:
        model, loss = network(), MarginLoss()
        for options, expected in ((Options(lr=1.0, loss_lr=2.0), 2.0), (Options(lr=1.0), 1.0)):
            groups = options.optimizer_of(model.parameters(), loss.parameters()).param_groups
            assert [(group["lr"], group["params"]) for group in groups] == [
                (1.0, list(model.parameters())),
                (expected, [loss.beta]),
            ]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"steps": 0}, "steps must be at least 1, got 0"),
            ({"steps": 5, "start": 1.0}, "start must be from 0 to below 1, got 1.0"),
            ({"steps": 5, "factor": 0.0}, "factor must be above 0 and at most 1, got 0.0"),
        ],
    )
    def test_ranges(self, given: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            in_defense_schedule(**given)

    def test_frozen_parameters_are_left_out(self) -> None:
        model = restless_network()
        model[1].requires_grad_(False)
        before = model.state_dict()["1.weight"].clone()
        optimizer = Options().optimizer_of(model.parameters(), [])
        assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
        train(TripletLoss(), model=model)
        assert torch.equal(model.state_dict()["1.weight"], before)

    def test_a_schedule_that_waits_for_measurements_is_refused(self) -> None:
        with pytest.raises(TypeError, match="ReduceLROnPlateau waits for measurements"):
            train(TripletLoss(), options=quick(schedule=ReduceLROnPlateau))


def global_state() -> tuple[Any, ...]:
    numpy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return random.getstate(), numpy["key"].tolist(), numpy["pos"], torch.get_rng_state().tolist()


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_generators_are_untouched(fails: bool) -> None:
    """Also by what draws from them inside, and after an error."""

    def draw(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        random.random()
        np.random.rand()  # noqa: NPY002
        torch.rand(1)
        if fails:
            raise RuntimeError
        return {"gap": 1.0}

    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    before = global_state()
    options = quick(evaluate=draw, augment=Noise(), workers=0 if fails else 1)
    try:
        fit(
            restless_network(), TRAIN, TripletLoss(), sampler=sampler(), steps=3,
            validation=TRAIN, options=options,
        )  # fmt: skip
    except RuntimeError:
        assert fails
    assert global_state() == before


def test_the_seed_decides_what_is_drawn() -> None:
    def weights(seed: int) -> Tensor:
        options = quick(seed=seed, augment=Noise())
        model = train(TripletLoss(5.0), model=restless_network(), options=options).model
        return torch.cat([each.detach().ravel() for each in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_monitor_sees_every_step() -> None:
    records: list[dict[str, float]] = []
    monitor = BatchMonitor(records.append, margin=0.2)
    done = train(TripletLoss(), 4, miner=BatchHardMiner(), options=quick(monitor=monitor))
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    losses = [record["loss"] for record in records]
    for row, pair in zip(done.history[1:], (losses[:2], losses[2:]), strict=True):
        assert row["loss"] == pytest.approx(sum(pair) / 2)
    assert all(np.isfinite(record["gradient_share"]) for record in records)


@pytest.mark.parametrize("drawn", [2, 3])
def test_a_killed_trainings_log_is_as_if_it_had_never_stopped(drawn: int, tmp_path: Path) -> None:
    """Killed just after a checkpoint, or a step later."""

    def run(name: str, dies_after: float) -> str:
        noise = Noise()
        noise.countdown = dies_after
        file = tmp_path / f"{name}.csv"
        options = quick(augment=noise, monitor=BatchMonitor(csv_log(file)))
        with suppress(KilledError):
            train(TripletLoss(), 6, miner=BatchHardMiner(), folder=tmp_path / name, options=options)
        return file.read_text()

    whole = run("whole", math.inf)
    assert len(whole.splitlines()) == 1 + 6
    assert len(run("killed", drawn).splitlines()) == 1 + 2
    assert run("killed", math.inf) == whole
    assert run("killed", math.inf) == whole  # returns at once
