"""What the monitor reports is what a plain computation finds, a step later."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from metricface.diagnostics import BatchMonitor, csv_log, tensorboard_log
from metricface.diagnostics import measured_step as measured_module
from metricface.distances import Euclidean
from metricface.miners import BatchAllMiner, MultiSimilarityMiner
from metricface.types import Pairs, Triplets, as_pairs

ONE, LOSS = torch.tensor([0]), torch.tensor(0.0)
Records = list[dict[str, float]]


def _batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(24, 5, generator=generator), torch.arange(24) // 4


def _euclidean(x: Tensor, i: Tensor, j: Tensor) -> np.ndarray:
    unit = x.double().numpy() / np.linalg.norm(x.double().numpy(), axis=1, keepdims=True)
    return np.asarray(np.sqrt(((unit[i.numpy()] - unit[j.numpy()]) ** 2).sum(axis=1)))


def test_figures_of_triplets_are_those_of_numpy() -> None:
    x, labels = _batch()
    mined = BatchAllMiner(float("inf"))(x, labels)
    records: Records = []
    monitor = BatchMonitor(records.append, margin=0.3, distance=Euclidean())
    monitor(x, mined, torch.tensor(0.7))
    assert records == [], "nothing is read before it had a step's time"
    monitor.flush()
    (record,) = records
    near = _euclidean(x, mined.anchor, mined.positive)
    far = _euclidean(x, mined.anchor, mined.negative)
    assert record["step"] == 1
    assert record["loss"] == pytest.approx(0.7)
    assert record["positives"] == record["negatives"] == len(mined.anchor)
    assert record["active"] == pytest.approx((near - far + 0.3 > 0).mean())
    for name, values in (("positive", near), ("negative", far)):
        for q in (5, 50, 95):
            expected = np.quantile(values, q / 100)
            assert record[f"{name}_q{q:02d}"] == pytest.approx(expected, rel=1e-5)
    norm = np.linalg.norm(x.double().numpy(), axis=1)
    assert record["norm_mean"] == pytest.approx(norm.mean())
    assert record["norm_std"] == pytest.approx(norm.std(), rel=1e-5)
    unit = x.double().numpy() / norm[:, None]
    expected = np.linalg.norm(unit - unit.mean(axis=0), axis=1).mean()
    assert record["spread"] == pytest.approx(expected, rel=1e-5)
    assert math.isnan(record["gradient_share"])


def test_pairs_are_active_within_the_margin() -> None:
    x, labels = _batch()
    mined = MultiSimilarityMiner(2.0)(x, labels)
    records: Records = []
    monitor = BatchMonitor(records.append, margin=1.2, distance=Euclidean())
    monitor(x, mined, torch.tensor(0.0))
    monitor.flush()
    far = _euclidean(x, mined.anchor_neg, mined.negative)
    assert records[0]["active"] == pytest.approx((far < 1.2).mean())
    assert records[0]["positives"] == len(mined.positive) != records[0]["negatives"]


def test_nothing_mined_is_defined() -> None:
    none = torch.empty(0, dtype=torch.int64)
    records: Records = []
    monitor = BatchMonitor(records.append, margin="soft")
    monitor(_batch()[0], Triplets(none, none, none), torch.tensor(0.0))
    monitor(_batch()[0], Pairs(none, none, none, none), torch.tensor(0.0))
    monitor.flush()
    for record in records:
        assert record["positives"] == record["active"] == 0
        assert math.isnan(record["positive_q50"])


@pytest.mark.parametrize(("pulling", "share"), [(24, 1.0), (1, 1 / 24), (6, 0.25)])
def test_the_gradient_share_is_how_many_pull(pulling: int, share: float) -> None:
    x = torch.ones(24, 5, requires_grad=True)
    records: Records = []
    monitor = BatchMonitor(records.append)
    one = torch.tensor([0])
    loss = (x[:pulling] * 3).sum()
    monitor(x, Triplets(one, one + 1, one + 2), loss)
    loss.backward()  # type: ignore[no-untyped-call]
    monitor.flush()
    assert records[0]["gradient_share"] == pytest.approx(share)
    assert torch.equal(x.grad[:pulling], torch.full((pulling, 5), 3.0))  # type: ignore[index]


@pytest.mark.parametrize("length", [1e-30, 1e-20, 1e25, 1e37])
def test_lengths_are_told_where_their_squares_are_beyond_float32(length: float) -> None:
    """Of the embeddings and of their gradients: a loss may weigh next to nothing."""
    x = (length * torch.eye(4)).requires_grad_()
    records: Records = []
    monitor = BatchMonitor(records.append)
    one = torch.tensor([0])
    loss = (length * x[:3]).sum() if length < 1 else x[:3].sum()
    monitor(x, Triplets(one, one + 1, one + 2), loss.detach())
    loss.backward()  # type: ignore[no-untyped-call]
    monitor.flush()
    assert records[0]["norm_mean"] == pytest.approx(length)
    assert records[0]["norm_std"] == pytest.approx(0, abs=1e-6 * length)
    assert records[0]["gradient_share"] == pytest.approx(0.75)


def test_many_triplets_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_module, "SAMPLE", 100)
    x, labels = _batch()
    mined = BatchAllMiner(float("inf"))(x, labels)
    records: Records = []
    monitor = BatchMonitor(records.append, distance=Euclidean())
    monitor(x, mined, torch.tensor(0.0))
    monitor.flush()
    step = math.ceil(len(mined.anchor) / 100)
    expected = np.median(_euclidean(x, mined.anchor[::step], mined.positive[::step]))
    assert records[0]["positive_q50"] == pytest.approx(expected, rel=1e-5)
    assert records[0]["positives"] == len(mined.anchor)


def _train(
    margin: float, losses: list[float], spreads: list[float]
) -> tuple[Records, BatchMonitor]:
    x, _ = _batch()
    one = torch.tensor([0])
    records: Records = []
    monitor = BatchMonitor(records.append, margin=margin, window=5)
    centre = F.normalize(torch.ones(5), dim=0)
    for loss, spread in zip(losses, spreads, strict=True):
        near = F.normalize(centre + spread * F.normalize(x, dim=1), dim=1)
        monitor(near, Triplets(one, one + 1, one + 2), torch.tensor(loss))
    monitor.flush()
    return records, monitor


def test_a_collapse_is_flagged_said_once_and_taken_back() -> None:
    losses = [0.5, 0.4, *[0.201] * 8, 0.05]
    with pytest.warns(UserWarning, match="embeddings collapse: the loss has stayed at 0.2") as said:
        records, monitor = _train(0.2, losses, [1.0, 0.9, *[0.1] * 8, 0.1])
    assert [record["collapse"] for record in records] == [0] * 6 + [1] * 4 + [0]
    assert len(said) == 1
    assert "step 7:" in str(said[0].message)
    assert monitor.explanation is None


@pytest.mark.parametrize(
    ("losses", "spreads"),
    [
        ([0.2] * 12, [1.0] * 12),  # stuck, but as wide as ever
        ([0.02] * 12, [1.0] + [0.1] * 11),  # contracted, but learning
        ([0.2, 0.4] * 6, [1.0] + [0.1] * 11),  # never stays
    ],
)
def test_what_is_no_collapse_is_not_flagged(losses: list[float], spreads: list[float]) -> None:
    records, monitor = _train(0.2, losses, spreads)
    assert not any(record["collapse"] for record in records)
    assert monitor.explanation is None


def test_one_step_in_so_many_is_measured_and_given_to_every_log(tmp_path: Path) -> None:
    x, labels = _batch()
    writer = Mock()
    file = tmp_path / "log.csv"
    monitor = BatchMonitor(csv_log(file), tensorboard_log(writer), every=3)
    for _ in range(7):
        monitor(x, BatchAllMiner(0.2)(x, labels), torch.tensor(1.0))
    monitor.flush()
    with file.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["1.0", "4.0", "7.0"]
    assert {call.args[2] for call in writer.add_scalar.call_args_list} == {1, 4, 7}
    assert ("batch/loss", 1.0, 4) in [call.args for call in writer.add_scalar.call_args_list]


class TestACsvLogThatGoesOn:
    def logged(self, file: Path, *steps: int, value: float = 0.5) -> str:
        log = csv_log(file)
        for step in steps:
            log({"step": float(step), "loss": value})
        return file.read_text()

    def test_rows_follow_those_that_are_there(self, tmp_path: Path) -> None:
        file = tmp_path / "log.csv"
        self.logged(file, 1, 2)
        assert (
            self.logged(file, 3, 4, value=0.25)
            == "step,loss\n1.0,0.5\n2.0,0.5\n3.0,0.25\n4.0,0.25\n"
        )

    def test_steps_that_are_taken_again_stand_once(self, tmp_path: Path) -> None:
        """Killed at step 4, on from a checkpoint of step 2; and begun anew at last."""
        file = tmp_path / "log.csv"
        self.logged(file, 1, 2, 3, 4)
        assert self.logged(file, 3, value=0.25) == "step,loss\n1.0,0.5\n2.0,0.5\n3.0,0.25\n"
        assert self.logged(file, 1, value=0.75) == "step,loss\n1.0,0.75\n"
        assert [each.name for each in tmp_path.iterdir()] == ["log.csv"]

    def test_nothing_happens_before_something_is_logged(self, tmp_path: Path) -> None:
        file = tmp_path / "log.csv"
        before = self.logged(file, 1, 2)
        assert self.logged(file) == before

    @pytest.mark.parametrize("torn", ["3.0", "3.0,0.", '"3'])
    def test_a_row_that_was_cut_off_is_left_out(self, torn: str, tmp_path: Path) -> None:
        file = tmp_path / "log.csv"
        file.write_text(self.logged(file, 1, 2) + torn)
        assert self.logged(file, 4) == "step,loss\n1.0,0.5\n2.0,0.5\n4.0,0.5\n"

    def test_an_empty_file_is_begun(self, tmp_path: Path) -> None:
        (tmp_path / "log.csv").touch()
        assert self.logged(tmp_path / "log.csv", 1) == "step,loss\n1.0,0.5\n"

    def test_records_without_a_step_follow(self, tmp_path: Path) -> None:
        file = tmp_path / "log.csv"
        for _ in range(2):
            csv_log(file)({"loss": 0.5})
        assert file.read_text() == "loss\n0.5\n0.5\n"

    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        file, link = tmp_path / "log.csv", tmp_path / "link.csv"
        self.logged(file, 1, 2)
        link.symlink_to(file)
        assert self.logged(link, 2) == file.read_text() == "step,loss\n1.0,0.5\n2.0,0.5\n"
        assert link.is_symlink()

    @pytest.mark.parametrize("there", ["an old run\n", "notes", "step,loss,norm\n1.0,0.5,2.0\n"])
    def test_other_columns_are_refused(self, there: str, tmp_path: Path) -> None:
        file = tmp_path / "log.csv"
        file.write_text(there)
        log = csv_log(file)
        for _ in range(2):
            with pytest.raises(
                ValueError, match=r"log.csv holds .* in place of .*step, loss: give "
            ):
                log({"step": 1.0, "loss": 0.5})
        assert file.read_text() == there


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"every": 0}, ValueError, "every must be at least 1, got 0"),
        ({"every": 2.5}, TypeError, "every must be an integer of at least 1, got 2.5"),
        ({"window": 0}, ValueError, "window must be at least 1, got 0"),
        ({"margin": "hard"}, ValueError, "number or 'soft', got 'hard'"),
        ({"margin": 0.0}, ValueError, "margin must be above 0 and finite, got 0.0"),
        ({"margin": math.inf}, ValueError, "margin must be above 0 and finite, got inf"),
        ({"tolerance": -1.0}, ValueError, "tolerance must be above 0 and finite, got -1.0"),
    ],
)
def test_bad_settings_are_said(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        BatchMonitor(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("indices", "loss", "message"),
    [
        ((ONE, ONE), LOSS, "got 2 tensors"),
        (None, LOSS, "indices must be a tuple of 3 or 4 index vectors, got NoneType"),
        ((ONE, ONE, ONE + 3), LOSS, "negative holds 3 in place 0, but embeddings have 3 rows"),
        ((ONE, ONE, ONE), 0.5, "loss must be a tensor, got 0.5"),
    ],
)
def test_what_cannot_be_measured_is_said(indices: Any, loss: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        BatchMonitor()(torch.eye(3), indices, loss)


@pytest.mark.parametrize("miner", [BatchAllMiner(float("inf")), MultiSimilarityMiner(2.0)])
def test_distances_to_references_are_those_of_numpy(miner: Any) -> None:
    """Of 24 embeddings to 30 others; norms and spread stay those of the embeddings."""
    x, labels = _batch()
    past = torch.randn(30, 5, generator=torch.Generator().manual_seed(1))
    mined = miner(x, labels, past, torch.arange(30) // 5)
    records: Records = []
    monitor = BatchMonitor(records.append, margin=1.2, distance=Euclidean())
    monitor(x, mined, torch.tensor(0.7), past)
    monitor(x, BatchAllMiner()(x, labels), torch.tensor(0.7))
    monitor.flush()
    both = torch.cat([x, past])
    pairs = as_pairs(mined)
    near = _euclidean(both, pairs.anchor_pos, pairs.positive + 24)
    far = _euclidean(both, pairs.anchor_neg, pairs.negative + 24)
    assert records[0]["positive_q50"] == pytest.approx(np.median(near), rel=1e-5)
    assert records[0]["negative_q95"] == pytest.approx(np.quantile(far, 0.95), rel=1e-5)
    assert max(int(pairs.positive.max()), int(pairs.negative.max())) > 24
    for name in ("norm_mean", "norm_std", "spread"):
        assert records[0][name] == records[1][name]
