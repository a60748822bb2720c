"""VGG-Face's recipe and DeepID2's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricface.classifiers import CosFace
from metricface.losses import ContrastiveLoss, DeepID2Loss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner
from metricface.recipes import Frozen, LookAlikes, deepid2, embed, fit, softmax_then_triplet
from metricface.recipes.resuming.random_state import seeded
from tests.recipes.toys import (
    DIM,
    IDENTITIES,
    TRAIN,
    UNSEEN,
    differences,
    network,
    quick,
    restless_network,
    sampler,
    without_seconds,
)


def both(model: nn.Module, steps: tuple[int, int] = (4, 3), **given: Any) -> Any:
    settings: dict[str, Any] = {"sampler": sampler(), "options": quick(evaluate_every=1)}
    return softmax_then_triplet(model, TRAIN, steps=steps, **{**settings, **given})


class TestSoftmaxThenTriplet:
    def test_it_is_one_stage_after_the_other(self) -> None:
        """The same as two calls of ``fit``, the classifier dropped between them."""
        model, options = network(), quick(evaluate_every=1)
        done = both(model, head=CosFace, loss=ContrastiveLoss(), miner=BatchHardMiner())
        other, where = network(), sampler()
        with seeded(0):
            head = CosFace(IDENTITIES, DIM)
        first = fit(other, TRAIN, head, sampler=where, steps=4, options=options)
        second = fit(
            other, TRAIN, ContrastiveLoss(), miner=BatchHardMiner(), sampler=where, steps=3,
            options=options,
        )  # fmt: skip
        assert without_seconds(done.softmax.history) == without_seconds(first.history)
        assert without_seconds(done.triplet.history) == without_seconds(second.history)
        assert differences(done.model.state_dict(), other.state_dict()) == []
        assert done.model is model

    def test_the_history_of_both_goes_on(self) -> None:
        done = both(network())
        assert [row["step"] for row in done.history] == [0, 1, 2, 3, 4, 5, 6, 7]
        seconds = [row["seconds"] for row in done.history]
        assert seconds == sorted(seconds)
        last = done.softmax.history[-1]["seconds"] + done.triplet.history[-1]["seconds"]
        assert seconds[-1] == pytest.approx(last)
        losses = [row["loss"] for row in done.triplet.history[1:]]
        assert [row["loss"] for row in done.history[-3:]] == losses

    def test_the_whole_network_is_fine_tuned(self) -> None:
        model = network()
        before = model.state_dict()["1.weight"].clone()
        done = both(model, steps=(1, 5), projection=nn.Linear(DIM, 3))
        assert embed(done.model, TRAIN).shape == (40, 3)
        after_softmax = both(network(), steps=(1, 1)).softmax.model
        tuned = done.model.state_dict()["0.1.weight"]
        assert not torch.equal(tuned, before)
        assert not torch.equal(tuned, after_softmax.state_dict()["1.weight"])

    def test_a_frozen_trunk_stays_as_the_classifier_left_it(self) -> None:
        """Weights and statistics; only the projection learns."""
        model, projection = restless_network(), nn.Linear(DIM, 3)
        start = projection.weight.detach().clone()
        seen: list[dict[str, Tensor]] = []

        def look(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
            seen.append({n: v.clone() for n, v in model.state_dict().items()})
            return {"gap": 0.0}

        options = quick(evaluate_every=1, evaluate=look)
        done = both(model, projection=projection, frozen=True, validation=UNSEEN, options=options)
        assert differences(seen[4], seen[3]) != []  # the last step of the first stage
        for later in seen[5:]:
            assert differences(later, seen[4]) == []
        assert not torch.equal(projection.weight, start)
        assert isinstance(done.model[0], Frozen)
        assert all(each.requires_grad for each in model.parameters())  # to train it further

    def test_frozen_needs_a_projection(self) -> None:
        with pytest.raises(ValueError, match="frozen=True leaves nothing to train without a proj"):
            both(network(), frozen=True)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"steps": 5}, "steps must be a pair, of the first and the second stage, got 5"),
            ({"steps": (1, 0)}, "steps must be at least 1, got 0"),
            ({"steps": (1, 2.5)}, "steps must be an integer of at least 1, got 2.5"),
            ({"loss": TripletLoss}, "loss must be an instance, got the class TripletLoss"),
            ({"miner": BatchHardMiner}, "miner must be an instance, got the class BatchHard"),
            ({"projection": nn.Linear}, "projection must be an instance, got the class Linear"),
            ({"look_alikes": LookAlikes(every=1, warmup=0, k=2)}, "got PKSampler"),
            ({"triplet_options": quick(patience=2)}, "patience needs validation data"),
        ],
    )
    def test_what_is_wrong_with_the_second_stage_is_said_before_the_first(
        self, wrong: dict[str, Any], message: str
    ) -> None:
        model = network()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises((TypeError, ValueError), match=message):
            both(model, **wrong)
        assert differences(before, dict(model.state_dict())) == []

    def test_the_second_stage_may_have_options_of_its_own(self, tmp_path: Path) -> None:
        options = quick(lr=1e-5)
        both(network(), triplet_options=options, folder=tmp_path)
        rates = [
            torch.load(tmp_path / stage / "checkpoint.pt", weights_only=True)["settings"][
                "options"
            ]["lr"]
            for stage in ("softmax", "triplet")
        ]
        assert rates == [1e-3, 1e-5]

    def test_what_it_does_by_default(self, tmp_path: Path) -> None:
        """VGG-Face: softmax, then triplets with a random negative that violates the margin."""
        both(network(), folder=tmp_path)
        settings = [
            torch.load(tmp_path / stage / "checkpoint.pt", weights_only=True)["settings"]
            for stage in ("softmax", "triplet")
        ]
        assert settings[0]["losses"][0]["class"].endswith(".Softmax")
        assert settings[0]["miner"] is None
        miner = settings[1]["miner"]
        assert (miner["margin"], miner["negative"], miner["include_hard"]) == (0.2, "random", True)
        assert settings[1]["losses"][0]["margin"] == 0.2


class Recorded(nn.Module):
    """A network that keeps what it gave while training."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()
        self.outputs: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        embedded: Tensor = self.net(images)
        if self.training:
            self.outputs.append(embedded.detach().clone())
        return embedded


class TestDeepID2:
    def test_the_loss_is_that_of_deepid2(self) -> None:
        model = Recorded()
        done = deepid2(
            model, TRAIN, sampler=sampler(), steps=1, weight=0.3, margin=0.4,
            options=quick(evaluate_every=1),
        )  # fmt: skip
        with seeded(0):
            loss = DeepID2Loss(IDENTITIES, DIM, weight=0.3, margin=0.4, normalize=True)
        labels = torch.tensor([int(TRAIN.labels[i]) for i in next(iter(sampler()))])
        expected = float(loss(model.outputs[0], labels).detach())
        assert done.history[-1]["loss"] == pytest.approx(expected, rel=1e-6)

    def test_the_margin_follows_the_distances(self, tmp_path: Path) -> None:
        def margin(refresh_every: int | None) -> float:
            folder = tmp_path / str(refresh_every)
            deepid2(
                network(), TRAIN, sampler=sampler(), steps=2, margin=0.25, folder=folder,
                refresh_every=refresh_every, window=400, options=quick(),
            )  # fmt: skip
            state = torch.load(folder / "checkpoint.pt", weights_only=True)["training"]
            return float(state["objective"]["losses.1.margin"])

        assert margin(None) == 0.25
        assert margin(10_000) == 0.25
        assert margin(300) != 0.25

    def test_the_past_is_verified_but_not_identified(self) -> None:
        """The memory's part has weight λ, like the batch's."""

        def losses(memory: CrossBatchMemory | None, weight: float) -> list[float]:
            done = deepid2(
                network(), TRAIN, sampler=sampler(10, 2), steps=2, weight=weight, memory=memory,
                options=quick(evaluate_every=1, lr=1e-9), margin=2.0, refresh_every=None,
            )  # fmt: skip
            return [row["loss"] for row in done.history[1:]]

        alone, both = losses(None, 0.5), losses(CrossBatchMemory(20, DIM), 0.5)
        double = losses(CrossBatchMemory(20, DIM), 1.0)
        identification = losses(None, 1e-12)
        assert both[0] == pytest.approx(alone[0])
        assert both[1] > alone[1]
        assert double[1] - identification[1] == pytest.approx(
            2 * (both[1] - identification[1]), rel=1e-4
        )

    def test_its_pairs_can_be_mined(self) -> None:
        done = deepid2(
            network(), TRAIN, sampler=sampler(), steps=2, miner=BatchHardMiner(), options=quick()
        )
        assert done.step == 2

    def test_it_is_not_a_triplet_training(self) -> None:
        one = fit(network(), TRAIN, TripletLoss(), sampler=sampler(), steps=2, options=quick())
        other = deepid2(network(), TRAIN, sampler=sampler(), steps=2, options=quick())
        assert differences(one.model.state_dict(), other.model.state_dict()) != []
