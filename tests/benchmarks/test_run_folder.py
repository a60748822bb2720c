"""What a run folder refuses and what it never does twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.convergence import grid
from benchmarks.convergence.__main__ import run
from benchmarks.convergence.cell import run_cell
from benchmarks.convergence.folds import Fold
from benchmarks.convergence.methods import METHODS, Method, choose
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.training import Training
from metricface.data import ImageSet

SHORT = ["--steps", "2", "--eval-every", "1", "--batch", "5x3", "--dim", "8"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"steps": 7}, "steps was 6, is 7"), ({"lr": 0.1}, "lr was 0.001, is 0.1")],
)
def test_changed_settings_are_refused_by_name(
    settings: Settings, tmp_path: Path, change: dict[str, float], said: str
) -> None:
    methods = choose(["random"])
    RunFolder(tmp_path).claim(settings, methods)
    before = (tmp_path / "settings.json").read_text()
    with pytest.raises(ValueError, match=said) as refusal:
        RunFolder(tmp_path).claim(replace(settings, **change), methods)  # type: ignore[arg-type]
    assert str(tmp_path) in str(refusal.value)
    assert (tmp_path / "settings.json").read_text() == before


def test_a_method_that_changed_its_rule_is_refused(settings: Settings, tmp_path: Path) -> None:
    method = METHODS["random"]
    RunFolder(tmp_path).claim(settings, [method])
    with pytest.raises(ValueError, match=r"method random was .* is 'another rule'"):
        RunFolder(tmp_path).claim(settings, [replace(method, rule="another rule")])


def test_methods_may_be_added(settings: Settings, tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(settings, choose(["random"]))
    RunFolder(tmp_path).claim(settings, choose(["semi-hard"]))
    with pytest.raises(ValueError, match="method random"):
        RunFolder(tmp_path).claim(settings, [replace(METHODS["random"], rule="another")])


def test_a_run_leaves_its_files_and_never_repeats_a_finished_cell(
    images: ImageSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(grid, "load", lambda data: images)
    command = [*SHORT, "--methods", "random,pml-semi-hard", "--out", str(tmp_path)]
    report = run(command)
    printed = capsys.readouterr().out
    for name in ("results.csv", "summary.csv", "convergence.png", "histograms.png"):
        assert (tmp_path / name).stat().st_size > 100
        assert str(tmp_path / name) in printed
    for name in ("random", "pml-semi-hard", "raw-pixels"):
        assert name in printed
    results = pd.read_csv(tmp_path / "results.csv")
    assert results.groupby("method")["step"].apply(list).to_dict() == {
        "pml-semi-hard": [0, 1, 2],
        "random": [0, 1, 2],
        "raw-pixels": [0],
    }
    first = results[results["step"] == 0].set_index("method")["map_at_r"]
    assert first["random"] == first["pml-semi-hard"]
    assert not list(tmp_path.rglob("*.partial"))

    before = {file: file.read_bytes() for file in (tmp_path / "cells").iterdir()}
    trained: list[str] = []

    def counted(
        method: Method, fold: Fold, settings: Settings, folder: RunFolder, cell: Cell
    ) -> Training:
        trained.append(cell.name)
        return run_cell(method, fold, settings, folder, cell)

    monkeypatch.setattr(grid, "run_cell", counted)
    again = run(command)
    assert trained == []
    pd.testing.assert_frame_equal(again.summary, report.summary)
    run([*command, "--seeds", "2"])
    assert trained == ["random.seed1.fold0", "pml-semi-hard.seed1.fold0"]
    for file, content in before.items():
        assert file.read_bytes() == content
