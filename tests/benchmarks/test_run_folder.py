"""What a run folder refuses and what it never does twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.convergence import grid, run_folder, tuning, workers
from benchmarks.convergence.__main__ import run
from benchmarks.convergence.cell import Task, run_cell
from benchmarks.convergence.folds import Fold
from benchmarks.convergence.methods import METHODS, Method, choose
from benchmarks.convergence.reproduce import reproduce
from benchmarks.convergence.run_folder import Cell, Kind, RunFolder
from benchmarks.convergence.settings import Settings
from metricface.data import ImageSet
from metricface.files import used_alone

SHORT = ["--steps", "2", "--eval-every", "1", "--batch", "5x3", "--dim", "8", "--jobs", "1"]
GOAL = ("recall_at_1", 0.8)


def claim(
    path: Path,
    settings: Settings,
    methods: list[Method],
    seeds: Sequence[int] = (0,),
    **values: dict[str, float],
) -> None:
    chosen = {method.name: [values.get(method.name, method.default)] for method in methods}
    RunFolder(path).claim(
        settings, methods, chosen=chosen, seeds=seeds, goal=GOAL, command="as typed"
    )


@pytest.fixture
def trained(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run on the small patterns; the names of the cells that were trained."""
    names: list[str] = []

    def counted(
        task: Task, fold: Fold, settings: Settings, folder: RunFolder, **shown: bool
    ) -> None:
        names.append(task.cell.name)
        run_cell(task, fold, settings, folder, progress=False)

    for module in (grid, tuning):
        monkeypatch.setattr(module, "load", lambda data, broken: images)
    monkeypatch.setattr(workers, "run_cell", counted)
    return names


def test_changed_settings_are_refused_by_name(settings: Settings, tmp_path: Path) -> None:
    methods = choose(["random"])
    claim(tmp_path, settings, methods)
    before = (tmp_path / "settings.json").read_text()
    with pytest.raises(ValueError, match="steps was 6, is 7") as refusal:
        claim(tmp_path, replace(settings, steps=7), methods)
    assert str(tmp_path) in str(refusal.value)
    with pytest.raises(ValueError, match=r"random\.chosen\[0\]\.lr was 0\.001, is 0\.1"):
        claim(tmp_path, settings, methods, random={"margin": 0.2, "lr": 0.1})
    assert (tmp_path / "settings.json").read_text() == before


def test_a_folder_goes_on_where_a_setting_is_younger_than_it(
    settings: Settings, tmp_path: Path
) -> None:
    claim(tmp_path, settings, [METHODS["random"]])
    file = tmp_path / "settings.json"
    written = json.loads(file.read_text())
    del written["settings"]["network"]
    file.write_text(json.dumps(written))
    with pytest.raises(ValueError, match="network was 'small', is 'strided'"):
        claim(tmp_path, replace(settings, network="strided"), [METHODS["random"]])
    claim(tmp_path, settings, [METHODS["semi-hard"]])
    assert json.loads(file.read_text())["settings"]["network"] == "small"


def test_a_method_that_changed_its_rule_is_refused(settings: Settings, tmp_path: Path) -> None:
    claim(tmp_path, settings, [METHODS["random"]])
    claim(tmp_path, settings, [METHODS["semi-hard"]])
    with pytest.raises(ValueError, match=r"random\.rule was .* is 'another rule'"):
        claim(tmp_path, settings, [replace(METHODS["random"], rule="another rule")])


def test_a_folder_knows_the_seeds_that_each_method_was_given(
    settings: Settings, tmp_path: Path
) -> None:
    claim(tmp_path, settings, choose(["random", "semi-hard"]), range(2))
    claim(tmp_path, settings, [METHODS["semi-hard"]], [4])
    claim(tmp_path, settings, [METHODS["random"]], range(1))
    written = RunFolder(tmp_path).written()
    assert written is not None
    assert written["seeds"] == {"random": [0, 1], "semi-hard": [0, 1, 4]}


def test_a_folder_knows_every_machine_it_ran_on(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ({"processor": name, "threads": 1} for name in ("slow", "fast"))
    for machine in (first, second, first):
        monkeypatch.setattr(run_folder, "machine", lambda machine=machine: machine)
        claim(tmp_path, settings, [METHODS["random"]])
    written = RunFolder(tmp_path).written()
    assert written is not None
    assert written["machines"] == [first, second]


def test_a_folder_of_another_form_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"settings": {}, "methods": {}}))
    with pytest.raises(ValueError, match="lacks commands, headline, target"):
        claim(tmp_path, settings, [METHODS["random"]])
    (tmp_path / "settings.json").unlink()
    claim(tmp_path, settings, [METHODS["random"]])
    written = json.loads((tmp_path / "settings.json").read_text())
    written["methods"]["random"]["chosen"] = {"lr": 0.1}
    text = json.dumps(written)
    (tmp_path / "settings.json").write_text(text.replace('"family"', '"kind"'))
    with pytest.raises(ValueError, match="does not say family of random"):
        RunFolder(tmp_path).written()
    (tmp_path / "settings.json").write_text(json.dumps(written))
    with pytest.raises(ValueError, match="chose once for all folds: not a run of this version"):
        claim(tmp_path, settings, [METHODS["random"]])
    written["methods"]["random"]["chosen"] = [{"lr": 0.1}]
    (tmp_path / "settings.json").write_text(json.dumps(written | {"seeds": 3}))
    with pytest.raises(ValueError, match="seeds must be those of each method, got 3"):
        RunFolder(tmp_path).written()


def test_a_run_leaves_its_files_and_never_repeats_a_finished_cell(
    trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*SHORT, "--methods", "random,pml-semi-hard", "--out", str(tmp_path)]
    report = run(command)
    printed = capsys.readouterr().out
    for name in ("results.csv", "summary.csv"):
        assert (tmp_path / name).stat().st_size > 100
        assert str(tmp_path / name) in printed
    for name in ("random", "pml-semi-hard", "raw-pixels"):
        assert name in printed
        for kind in ("histograms", "hardest"):
            assert (tmp_path / kind / f"{name}.seed0.fold0.csv").exists()
    assert (tmp_path / "histograms" / "untrained.seed0.fold0.csv").exists()
    results = pd.read_csv(tmp_path / "results.csv")
    assert results.groupby("method")["step"].apply(list).to_dict() == {
        "pml-semi-hard": [0, 1, 2],
        "random": [0, 1, 2],
        "raw-pixels": [0],
    }
    first = results[results["step"] == 0].set_index("method")["map_at_r"]
    assert first["random"] == first["pml-semi-hard"]
    assert not list(tmp_path.rglob("*.partial"))
    assert not list((tmp_path / "checkpoints").iterdir())

    before = {file: file.read_bytes() for file in (tmp_path / "cells").iterdir()}
    trained.clear()
    again = run(command)
    assert trained == []
    pd.testing.assert_frame_equal(again.summary, report.summary)
    run([*command, "--seeds", "2"])
    assert trained == ["random.seed1.fold0", "pml-semi-hard.seed1.fold0"]
    for file, content in before.items():
        assert file.read_bytes() == content


@pytest.mark.parametrize(("part", "more"), [(".", []), ("tuning", ["--tune", "2"])])
def test_a_second_run_in_the_folder_is_refused(
    part: str, more: list[str], trained: list[str], tmp_path: Path
) -> None:
    command = [*SHORT, *more, "--methods", "random", "--out", str(tmp_path)]
    with (
        used_alone(tmp_path / part),
        pytest.raises(BlockingIOError, match="is in use by a run that has not ended"),
    ):
        run(command)
    assert trained == []
    run(command)
    assert trained != []


def test_what_a_killed_run_left_half_written_is_cleared(trained: list[str], tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    token = "0123456789abcdef"
    left = [f"cells/.random.seed0.fold0.csv.{token}.partial", f".results.csv.{token}.partial"]
    others = f".report.md.{token}.partial"  # a report is made while the run goes on
    for name in (*left, others):
        (tmp_path / name).write_text("half")
    run([*SHORT, "--methods", "random", "--out", str(tmp_path)])
    assert [file.name for file in tmp_path.rglob("*.partial")] == [others]


def test_the_tuned_setting_is_the_one_best_on_validation_identities(
    trained: list[str], tmp_path: Path
) -> None:
    methods = ["--methods", "semi-hard,softmax", "--out", str(tmp_path)]
    run([*SHORT, *methods, "--tune", "3"])
    assert len(trained) == 2 * 3 + 2
    table = pd.read_csv(tmp_path / "tuning.csv")
    assert table.groupby("method", sort=False).size().to_dict() == {"semi-hard": 3, "softmax": 3}
    written = RunFolder(tmp_path).written()
    tried = RunFolder(tmp_path / "tuning").written()
    assert written is not None
    assert tried is not None
    assert (written["settings"]["held"], tried["settings"]["held"]) == ("test", "validation")
    for name, rows in table.groupby("method"):
        (best,) = rows[rows["chosen"]].itertuples()
        assert best.recall_at_1 == rows["recall_at_1"].max()
        assert written["methods"][name]["chosen"] == [json.loads(best.setting)]
    trained.clear()
    run([*SHORT, *methods])  # without tuning anew the chosen settings stay
    assert trained == []


def test_a_published_cell_is_run_again_and_held_against_the_table(
    trained: list[str], tmp_path: Path
) -> None:
    published = tmp_path / "published"
    run([*SHORT, "--methods", "random", "--seeds", "2", "--out", str(published)])
    trained.clear()
    cell = published / "cells" / "random.seed1.fold0.csv"
    sentence, inside = reproduce(cell, out=tmp_path / "again", command="as typed")
    assert trained == ["random.seed1.fold0"]
    assert inside
    assert "random.seed1.fold0: recall_at_1" in sentence
    assert "within the interval" in sentence
    table = pd.read_csv(cell)
    table["recall_at_1"] = 0.0
    other = pd.read_csv(published / "cells" / "random.seed0.fold0.csv")
    for name, rows in (("seed0", other.assign(recall_at_1=0.01)), ("seed1", table)):
        rows.to_csv(published / "cells" / f"random.{name}.fold0.csv", index=False)
    sentence, inside = reproduce(cell, out=tmp_path / "again", command="as typed")
    assert not inside
    assert "outside the interval" in sentence
    with pytest.raises(ValueError, match="there is no cell"):
        reproduce(published / "cells" / "other.csv", out=tmp_path, command="")


def test_a_cell_of_a_single_repeat_is_to_be_the_same(trained: list[str], tmp_path: Path) -> None:
    published = tmp_path / "published"
    run([*SHORT, "--methods", "random", "--out", str(published)])
    cell = published / "cells" / "random.seed0.fold0.csv"
    sentence, same = reproduce(cell, out=tmp_path / "again", command="as typed")
    assert same
    assert "by one repeat, which has no interval: the same" in sentence
    table = pd.read_csv(cell)
    table.assign(recall_at_1=table["recall_at_1"] - 1e-3).to_csv(cell, index=False)
    sentence, same = reproduce(cell, out=tmp_path / "again", command="as typed")
    assert not same
    assert sentence.endswith("another number")


@pytest.mark.parametrize("name", ["random", "random.seed1", "random.fold0.seed1", "a.seedx.fold1"])
def test_a_cell_is_known_by_its_file(name: str) -> None:
    with pytest.raises(ValueError, match=r"METHOD\.seedS\.foldF"):
        Cell.named(name)


def test_methods_can_be_set_as_in_another_run(trained: list[str], tmp_path: Path) -> None:
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    methods = ["--methods", "semi-hard", "--out"]
    run([*SHORT, "--tune", "3", *methods, str(earlier)])
    file = earlier / "settings.json"
    chosen = [{"margin": 0.123, "lr": 0.004}]
    written = json.loads(file.read_text())
    written["methods"]["semi-hard"]["chosen"] = chosen
    file.write_text(json.dumps(written))
    run([*SHORT, "--chosen-in", str(earlier), "--methods", "semi-hard,random", "--out", str(later)])
    found = RunFolder(later).written()
    assert found is not None
    assert found["methods"]["semi-hard"]["chosen"] == chosen
    assert found["methods"]["random"]["chosen"] == [METHODS["random"].default]
    with pytest.raises(ValueError, match="chose for each of 1 folds, this run has 2"):
        run([*SHORT, "--folds", "2", "--chosen-in", str(earlier), "--out", str(tmp_path / "two")])


def test_each_fold_chooses_on_its_own_validation_side(
    trained: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is best on one fold alone is that fold's choice and no other's."""
    tried = METHODS["semi-hard"].candidates(3)

    def planted(
        task: Task, fold: Fold, settings: Settings, folder: RunFolder, **shown: bool
    ) -> None:
        best = settings.held == "validation" and task.values == tried[task.cell.fold]
        trained.append(f"{task.cell.name} {task.values['margin']}")
        folder.finish(task.cell, [{"step": 2, "seconds": 1.0, "recall_at_1": 0.4 + 0.1 * best}])

    monkeypatch.setattr(workers, "run_cell", planted)
    monkeypatch.setattr(grid, "run_baselines", lambda *_: None)
    monkeypatch.setattr(grid, "summarise", lambda *_, **__: pd.DataFrame({"method": ["x"]}))
    monkeypatch.setattr("benchmarks.convergence.__main__.readable", str)
    method = ["--methods", "semi-hard", "--folds", "3", "--tune", "3"]
    run([*SHORT, *method, "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "tuning.csv")
    assert table.groupby("fold")["chosen"].sum().tolist() == [1, 1, 1]
    written = RunFolder(tmp_path).written()
    assert written is not None
    assert written["methods"]["semi-hard"]["chosen"] == tried
    assert trained[-3:] == [
        f"semi-hard.seed0.fold{n} {values['margin']}" for n, values in enumerate(tried)
    ]


KINDS: tuple[Kind, ...] = ("cells", "histograms", "hardest")


def pack(path: Path) -> None:
    """Publish a run as docs/results.md says: one zip in place of the folders of files."""
    command = [sys.executable, "-m", "zipfile", "-c", "cells.zip", *KINDS]
    subprocess.run(command, cwd=path, check=True)
    for kind in KINDS:
        shutil.rmtree(path / kind)


def test_a_packed_run_is_read_and_goes_on_as_one_of_files(
    trained: list[str], tmp_path: Path
) -> None:
    command = [*SHORT, "--methods", "random", "--seeds", "2", "--out", str(tmp_path)]
    whole = run(command).summary
    results = pd.read_csv(tmp_path / "results.csv")
    listed = {kind: RunFolder(tmp_path).files(kind) for kind in KINDS}
    trained.clear()
    pack(tmp_path)
    for kind, files in listed.items():
        packed = RunFolder(tmp_path).files(kind)
        assert [(cell, file.name) for cell, file in packed.items()] == [
            (cell, file.name) for cell, file in files.items()
        ]
    again = run(command)
    assert trained == []
    assert not list((tmp_path / "cells").iterdir())
    pd.testing.assert_frame_equal(again.summary, whole)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "results.csv"), results)
    run([*command, "--seeds", "3"])
    assert trained == ["random.seed2.fold0"]
    assert RunFolder(tmp_path).results()["seed"].nunique() == 3
    trained.clear()
    cell = tmp_path / "cells" / "random.seed1.fold0.csv"
    sentence, inside = reproduce(cell, out=tmp_path / "again", command="as typed")
    assert trained == ["random.seed1.fold0"]
    assert inside, sentence


def test_a_broken_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "cells.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r"cells\.zip is not a zip file"):
        RunFolder(tmp_path).files("cells")
