"""The commands as they are typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import demo
from benchmarks.convergence.__main__ import chosen_settings, parser
from benchmarks.convergence.methods import METHODS, choose
from benchmarks.report.__main__ import parser as report_parser

ROOT = Path(__file__).parents[2]


def test_help_names_every_method_and_every_file() -> None:
    command = [sys.executable, "-m", "benchmarks.convergence", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in (*METHODS, "results.csv", "summary.csv", "tuning.csv", "histograms/", "hardest/"):
        assert word in done.stdout


def test_the_command_line_overrides_the_defaults_of_the_data() -> None:
    typed = ["--data", "orl", "--batch", "8x5", "--steps", "30", "--identities", "validation"]
    settings = chosen_settings(parser().parse_args([*typed, "--out", "x"]))
    assert (settings.p, settings.k, settings.steps, settings.held) == (8, 5, 30, "validation")
    assert settings.folds == 5


@pytest.mark.parametrize("wrong", [["--batch", "32"], ["--steps", "0"], ["--seeds", "0"]])
def test_nonsense_ends_with_a_usage_error(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--out", "x", *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_the_demo_runs_commands_that_exist(tmp_path: Path) -> None:
    runs, pages = {}, []
    for module, *arguments in demo.commands(tmp_path):
        if module == "benchmarks.report":
            pages.append(report_parser().parse_args(arguments).run)
        else:
            assert module == "benchmarks.convergence"
            options = parser().parse_args(arguments)
            runs[options.data] = options.out
            assert choose(options.methods.split(","))
    assert set(runs) == {"glyphs", "orl"}
    assert pages == list(runs.values())
