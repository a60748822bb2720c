"""Validation, the best weights, patience, history, TensorBoard and the bar."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from torch import Tensor, nn

from metricface.data import ImageSet
from metricface.losses import TripletLoss
from metricface.miners import BatchHardMiner
from metricface.recipes import Options, embed, unseen_identities
from metricface.recipes.loop.history import History
from metricface.recipes.resuming.checkpoints import Checkpoints
from metricface.samplers import PKSampler
from tests.oracles.recipes import evaluations_until
from tests.recipes.toys import (
    UNSEEN,
    KilledError,
    Noise,
    network,
    quick,
    train,
)


class Scripted:
    """Measures what a script says, and remembers what it was shown."""

    def __init__(self, *values: float) -> None:
        self._values: Iterator[float] = iter(values)
        self.shown: list[Tensor] = []

    def __call__(self, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        self.shown.append(embeddings.clone())
        return {"gap": next(self._values)}


def scripted(*values: float, steps: int = 20, **options: Any) -> tuple[Any, Scripted]:
    script = Scripted(*values)
    options = {"evaluate": script, "lr": 0.1, **options}
    done = train(TripletLoss(5.0), steps, validation=UNSEEN, options=quick(**options))
    return done, script


class TestHistory:
    def test_rows_are_complete(self) -> None:
        options = quick(evaluate=unseen_identities, metric="r_precision", evaluate_every=3)
        with pytest.warns(UserWarning, match=r"FAR 0\.001 needs at least 1000 impostor pairs"):
            done = train(TripletLoss(), 7, validation=UNSEEN, miner=BatchHardMiner(),
                         options=options)  # fmt: skip
        assert [row["step"] for row in done.history] == [0, 3, 6, 7]
        kinds = ("data", "network", "mining", "loss")
        measured = set(unseen_identities_names())
        for row in done.history:
            assert (
                set(row)
                == {"step", "seconds", "loss"} | {f"{kind}_seconds" for kind in kinds} | measured
            )
            assert all(type(value) is float for value in row.values())
            assert row["seconds"] == pytest.approx(sum(row[f"{kind}_seconds"] for kind in kinds))
        seconds = [row["seconds"] for row in done.history]
        assert seconds[0] == 0 < seconds[1] < seconds[2] < seconds[3]
        assert all(done.history[-1][f"{kind}_seconds"] > 0 for kind in kinds)
        assert math.isnan(done.history[0]["loss"])

    def test_the_loss_is_the_mean_since_the_row_before(self) -> None:
        each = train(TripletLoss(5.0), 4, options=quick(evaluate_every=1)).history
        pairs = train(TripletLoss(5.0), 4, options=quick(evaluate_every=2)).history
        losses = [row["loss"] for row in each[1:]]
        assert len(set(losses)) == 4
        assert pairs[1]["loss"] == pytest.approx((losses[0] + losses[1]) / 2)
        assert pairs[2]["loss"] == pytest.approx((losses[2] + losses[3]) / 2)

    def test_without_validation_there_is_no_best(self) -> None:
        done = train(TripletLoss(), 2)
        assert done.best_step is None
        assert "gap" not in done.history[-1]
        assert done.step == 2
        assert not done.model.training

    def test_what_is_measured_are_the_unseen_identities(self) -> None:
        seen = []

        def evaluate(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
            seen.append((embeddings, labels))
            return {"gap": 0.0}

        model = network()
        before = embed(model, UNSEEN)
        train(TripletLoss(), 2, model=model, validation=UNSEEN, options=quick(evaluate=evaluate))
        assert torch.equal(seen[0][0], before)
        assert torch.equal(seen[-1][0], embed(model, UNSEEN))
        assert seen[0][1].tolist() == UNSEEN.labels.tolist()

    def test_dropout_is_off_while_measuring_and_on_while_training(self) -> None:
        modes = []

        class Look(nn.Flatten):
            def forward(self, images: Tensor) -> Tensor:
                modes.append((self.training, len(images)))
                return super().forward(images)

        model = nn.Sequential(Look(), nn.Linear(64, 4))
        train(TripletLoss(), 2, model=model, validation=UNSEEN)
        assert modes == [(False, 24), (True, 20), (True, 20), (False, 24)]


def unseen_identities_names() -> list[str]:
    return [
        "recall_at_1", "recall_at_5", "r_precision", "map_at_r", "accuracy", "eer", "auc",
        "tar_at_0.1", "tar_at_0.01", "tar_at_0.001",
    ]  # fmt: skip


class TestBest:
    def test_the_best_weights_come_back(self) -> None:
        done, script = scripted(0.1, 0.5, 0.9, 0.4, 0.3, steps=8, restore_best=True)
        assert done.best_step == 4
        assert torch.equal(embed(done.model, UNSEEN), script.shown[2])
        assert not torch.equal(script.shown[2], script.shown[4])

    def test_or_the_last_ones_if_so_wished(self) -> None:
        done, script = scripted(0.1, 0.5, 0.9, 0.4, 0.3, steps=8, restore_best=False)
        assert done.best_step == 4
        assert torch.equal(embed(done.model, UNSEEN), script.shown[4])

    def test_of_equals_the_first(self) -> None:
        assert scripted(0.5, 0.7, 0.7, steps=4)[0].best_step == 2

    def test_nan_is_never_the_best(self) -> None:
        assert scripted(math.nan, 0.2, math.nan, 0.1, steps=6)[0].best_step == 2
        assert scripted(*[math.nan] * 4, steps=6)[0].best_step is None

    def test_the_best_of_the_moving_average(self) -> None:
        done, script = scripted(0.1, 0.9, 0.4, steps=4, restore_best=True, ema=0.8)
        assert torch.equal(embed(done.model, UNSEEN), script.shown[1])


class TestPatience:
    def test_it_stops_when_it_should(self) -> None:
        done, _ = scripted(0.1, 0.5, 0.4, 0.6, 0.3, 0.6, 0.2, patience=3)
        assert done.step == 12
        assert done.best_step == 6
        assert [row["gap"] for row in done.history] == [0.1, 0.5, 0.4, 0.6, 0.3, 0.6, 0.2]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 4))
    def test_for_any_course(self, values: list[int], patience: int) -> None:
        history, made = History("gap", keep=False), 0
        for value in values:
            history.add({"step": float(made), "gap": float(value)}, nn.Identity())
            made += 1
            if history.exhausted(patience):
                break
        assert made == evaluations_until(values, patience)

    def test_it_goes_on_counting_after_a_restart(self, tmp_path: Path) -> None:
        values, noise = (0.5, 0.4, 0.3, 0.2, 0.1, 0.0), Noise()
        noise.countdown = 5

        def run(*script: float) -> Any:
            options = quick(evaluate=Scripted(*script), augment=noise, patience=4)
            return train(TripletLoss(), 20, validation=UNSEEN, folder=tmp_path, options=options)

        with pytest.raises(KilledError):
            run(*values)
        noise.countdown = math.inf
        assert run(*values[3:]).step == 8


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in names}


class TestTensorBoard:
    def run(self, folder: Path, countdown: float = math.inf) -> list[dict[str, float]]:
        noise = Noise()
        noise.countdown = countdown
        options = quick(augment=noise, tensorboard=True)
        return train(TripletLoss(), 6, validation=UNSEEN, folder=folder, options=options).history

    def test_its_curves_are_the_history(self, tmp_path: Path) -> None:
        history = self.run(tmp_path)
        found = curves(tmp_path)
        assert set(found) == set(history[0]) - {"step"}
        for name, points in found.items():
            rows = [row for row in history if not math.isnan(row[name])]
            assert [step for step, _ in points] == [row["step"] for row in rows]
            assert [value for _, value in points] == pytest.approx([row[name] for row in rows])

    def test_what_a_killed_run_wrote_after_its_checkpoint_is_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It dies between showing a row and saving it; that row is shown once in the end."""

        def die_while_saving() -> None:
            def die(*_: object, **__: object) -> None:
                raise KilledError

            with monkeypatch.context() as patched:
                patched.setattr(Checkpoints, "save", die)
                self.run(tmp_path)

        with pytest.raises(KilledError):
            die_while_saving()
        assert curves(tmp_path)["gap"] != []
        with pytest.raises(KilledError):
            self.run(tmp_path, countdown=5)
        with pytest.raises(KilledError):
            die_while_saving()
        assert [step for step, _ in curves(tmp_path)["gap"]] == [0, 2, 4, 6]
        history = self.run(tmp_path)
        found = curves(tmp_path)
        assert [value for _, value in found["gap"]] == pytest.approx(
            [row["gap"] for row in history]
        )
        assert [step for step, _ in found["gap"]] == [0, 2, 4, 6]

    def test_a_finished_training_writes_no_more_files(self, tmp_path: Path) -> None:
        self.run(tmp_path)
        files = sorted((tmp_path / "tensorboard").iterdir())
        self.run(tmp_path)
        assert sorted((tmp_path / "tensorboard").iterdir()) == files

    def test_it_is_written_only_if_asked_for(self, tmp_path: Path) -> None:
        train(TripletLoss(), folder=tmp_path)
        names = sorted(each.name for each in tmp_path.iterdir())
        assert names == [".lock", "checkpoint.previous.pt", "checkpoint.pt"]

    def test_where_it_is_missing_the_error_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(ImportError, match="pip install 'metricface\\[tensorboard\\]'"):
            self.run(tmp_path)


class TestBar:
    def test_it_shows_steps_loss_and_metric(self, capsys: pytest.CaptureFixture[str]) -> None:
        train(TripletLoss(), 4, validation=UNSEEN, options=quick(progress=True))
        shown = capsys.readouterr().err
        assert "4/4" in shown
        assert "loss=" in shown
        assert "gap=" in shown
        assert "nan" not in shown

    def test_it_begins_where_a_resumed_training_does(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        noise = Noise()
        noise.countdown = 5
        with pytest.raises(KilledError):
            train(TripletLoss(), 8, folder=tmp_path, options=quick(augment=noise))
        noise.countdown = math.inf
        options = quick(augment=noise, progress=True)
        train(TripletLoss(), 8, folder=tmp_path, options=options)
        shown = capsys.readouterr().err
        assert "4/8" in shown
        assert "3/8" not in shown

    def test_off_is_off(self, capsys: pytest.CaptureFixture[str]) -> None:
        train(TripletLoss())
        assert capsys.readouterr() == ("", "")

    def test_where_tqdm_is_missing_the_error_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tqdm", None)
        with pytest.raises(ImportError, match="pip install 'metricface\\[progress\\]', or progr"):
            train(TripletLoss(), options=Options())


def halves(seed: int) -> ImageSet:
    """Twenty identities in the left half of their images; what the right half shows is noise."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (20, 4, 8, 8), dtype=np.uint8)
    pixels[..., :4] = pixels[:, :1, :, :4] // 2
    names = tuple(str(number) for number in range(20))
    return ImageSet(pixels.reshape(-1, 8, 8), np.repeat(np.arange(20), 4), names)


def test_it_learns() -> None:
    """Unseen identities are told apart far better after fifty steps than before."""
    data = halves(0)
    done = train(
        TripletLoss(),
        50,
        data=data,
        sampler=PKSampler(data.labels, 10, 4),
        validation=halves(1),
        options=quick(evaluate_every=25, lr=1e-2),
    )
    before, *_, after = (row["gap"] for row in done.history)
    assert after > before + 0.3
