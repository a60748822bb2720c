"""A killed run, started again, ends as if it had not been killed and repeats no finished cell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.convergence.cell import Task, run_cell
from benchmarks.convergence.folds import Fold
from benchmarks.convergence.methods import METHODS
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Settings
from metricface.recipes.loop.training import Training

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """Stands for the signal; nothing catches it."""


def kill_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """End the process's work before the step after ``step`` is taken, in any stage."""
    advance, taken = Training.advance, 0

    def until_killed(self: Training) -> torch.Tensor:
        nonlocal taken
        if taken == step:
            raise Killed
        taken += 1
        return advance(self)

    patch.setattr(Training, "advance", until_killed)


def without_seconds(file: Path) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_csv(file)
    seconds = [name for name in table.columns if name.endswith("seconds")]
    kept: pd.DataFrame = table.drop(columns=seconds)
    return kept


def files_of(folder: RunFolder, cell: Cell) -> list[Path]:
    return [folder.path / kind / f"{cell.name}.csv" for kind in ("histograms", "hardest")]


# One whose miner draws at random, one without a miner, one that uses torch's own generator and
# learns a parameter of its loss, one of two stages, one whose sampler follows the network.
@pytest.mark.parametrize(
    "name",
    [
        "random",
        "contrastive",
        "pml-distance-weighted",
        "softmax-then-semi-hard",
        "batch-hard-look-alikes",
    ],
)
# Before the first checkpoint; after one at the very end of an epoch of two batches; after one
# within an epoch of three.
@pytest.mark.parametrize(("killed", "p"), [(1, 5), (3, 19), (5, 13)])
def test_resumed_equals_uninterrupted(
    name: str,
    killed: int,
    p: int,
    fold: Fold,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(settings, p=p)
    task = Task(METHODS[name], METHODS[name].default, Cell(name, seed=0, fold=0))
    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    for folder in (whole, broken):
        folder.cells.mkdir(parents=True)
    run_cell(task, fold, settings, whole, progress=False)
    with monkeypatch.context() as patch:
        kill_at(killed, patch)
        with pytest.raises(Killed):
            run_cell(task, fold, settings, broken, progress=False)
    assert not broken.finished(task.cell)
    torch.rand(7)  # whatever else ran meanwhile
    run_cell(task, fold, settings, broken, progress=False)
    expected, resumed = (
        without_seconds(folder.cells / f"{task.cell.name}.csv") for folder in (whole, broken)
    )
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)
    assert expected["step"].tolist()[-1] == 6
    assert expected["step"].is_monotonic_increasing
    for mine, other in zip(files_of(whole, task.cell), files_of(broken, task.cell), strict=True):
        assert mine.read_bytes() == other.read_bytes()
    assert not list(broken.checkpoints.iterdir())


def test_a_resumed_cell_keeps_its_clock(
    fold: Fold, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(METHODS["semi-hard"], METHODS["semi-hard"].default, Cell("semi-hard", 0, 0))
    folder = RunFolder(tmp_path)
    folder.cells.mkdir()
    with monkeypatch.context() as patch:
        kill_at(5, patch)
        with pytest.raises(Killed):
            run_cell(task, fold, settings, folder, progress=False)
    saved = torch.load(folder.checkpoints / task.cell.name / "checkpoint.pt", weights_only=True)
    run_cell(task, fold, settings, folder, progress=False)
    file = folder.cells / f"{task.cell.name}.csv"
    table = pd.read_csv(file)
    assert table["step"].tolist() == [0, 2, 4, 6]
    assert table["seconds"].is_monotonic_increasing
    # pandas before 3 reads a float to its last bit but one
    assert table["seconds"].iloc[2] == pytest.approx(saved["history"]["rows"][2]["seconds"])
    parts = table[["data_seconds", "mining_seconds", "loss_seconds", "network_seconds"]]
    assert (parts.sum(axis=1) - table["seconds"]).abs().max() < 1e-9


def test_a_run_killed_by_the_system_loses_no_finished_cell(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "benchmarks.convergence", "--data", "orl", "--folds", "4"]
    command += ["--steps", "4", "--eval-every", "2", "--batch", "6x2", "--dim", "8"]
    command += ["--methods", "random,batch-hard,softmax", "--jobs", "2", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    finished: dict[Path, bytes] = {}
    while not finished and time.monotonic() < deadline:
        time.sleep(0.02)
        finished = {
            file: file.read_bytes()
            for file in out.glob("cells/*.csv")
            if not file.name.startswith("raw-pixels")
        }
    started.send_signal(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    assert finished
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(out.glob("cells/*.csv"))) == 3 * 4 + 4
    for file, content in finished.items():
        assert file.read_bytes() == content
    assert not list(out.rglob("*.partial"))
