"""A killed run, started again, ends as if it had not been killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.convergence.cell import run_cell
from benchmarks.convergence.folds import Fold
from benchmarks.convergence.methods import METHODS
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.training import Training


class Killed(BaseException):
    """Stands for the signal; nothing catches it."""


def kill_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """End the process's work before the step after ``step`` is taken."""
    advance = Training.advance

    def until_killed(self: Training) -> torch.Tensor:
        if self.step == step:
            raise Killed
        return advance(self)

    patch.setattr(Training, "advance", until_killed)


def without_seconds(file: Path) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_csv(file)
    seconds = [name for name in table.columns if name.endswith("seconds")]
    kept: pd.DataFrame = table.drop(columns=seconds)
    return kept


# One whose miner draws at random, one without a miner, one that uses torch's own generator and
# learns a parameter of its loss.
@pytest.mark.parametrize("name", ["random", "contrastive", "pml-distance-weighted"])
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
    method, cell = METHODS[name], Cell(name, seed=3, fold=0)
    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    expected = run_cell(method, fold, settings, whole, cell).state_dict()
    with monkeypatch.context() as patch:
        kill_at(killed, patch)
        with pytest.raises(Killed):
            run_cell(method, fold, settings, broken, cell)
    assert not broken.finished(cell)
    torch.rand(7)  # whatever else ran meanwhile
    resumed = run_cell(method, fold, settings, broken, cell).state_dict()
    for part in ("network", "loss"):
        assert resumed[part].keys() == expected[part].keys()
        for key, tensor in expected[part].items():
            assert torch.equal(resumed[part][key], tensor), key
    pd.testing.assert_frame_equal(
        without_seconds(broken.cells / f"{cell.name}.csv"),
        without_seconds(whole.cells / f"{cell.name}.csv"),
        check_exact=True,
    )


def test_a_resumed_cell_keeps_its_clock_and_repeats_no_evaluation(
    fold: Fold, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, cell, folder = METHODS["semi-hard"], Cell("semi-hard", 0, 0), RunFolder(tmp_path)
    with monkeypatch.context() as patch:
        kill_at(5, patch)
        with pytest.raises(Killed):
            run_cell(method, fold, settings, folder, cell)
    saved = folder.checkpoint(cell)
    assert saved is not None
    assert saved["training"]["step"] == 4
    run_cell(method, fold, settings, folder, cell)
    table = pd.read_csv(folder.cells / f"{cell.name}.csv")
    assert table["step"].tolist() == [0, 2, 4, 6]
    assert table["seconds"].is_monotonic_increasing
    assert table["seconds"].iloc[2] == saved["rows"][2]["seconds"]
    parts = table[["data_seconds", "mining_seconds", "loss_seconds", "network_seconds"]]
    assert (parts.sum(axis=1) - table["seconds"]).abs().max() < 1e-9


def test_a_write_cut_short_leaves_the_old_checkpoint(
    fold: Fold, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, cell, folder = METHODS["semi-hard"], Cell("semi-hard", 0, 0), RunFolder(tmp_path)
    save = torch.save
    written: list[object] = []

    def cut_short(state: object, file: Path) -> None:
        written.append(state)
        if len(written) == 2:
            file.write_bytes(b"half of it")
            raise Killed
        save(state, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", cut_short)
        with pytest.raises(Killed):
            run_cell(method, fold, settings, folder, cell)
    saved = folder.checkpoint(cell)
    assert saved is not None
    assert saved["training"]["step"] == 2
    run_cell(method, fold, settings, folder, cell)
    assert folder.finished(cell)
