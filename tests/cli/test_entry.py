"""The command from outside: its version, its help, and what its pictures say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import metricface
from metricface.cli import main

LABELS = np.arange(24) // 4
X = np.random.default_rng(0).normal(size=(24, 5)) + LABELS[:, None] % 3


def test_the_version_with_and_without_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"metricface {metricface.__version__}\n"
    command = [sys.executable, "-m", "metricface", "--version"]
    folder = Path(metricface.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout == f"metricface {metricface.__version__}\n"


@pytest.mark.parametrize("command", ["evaluate", "histogram", "mine"])
def test_the_help_says_which_columns_and_shapes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in ("one array [N, D]", "labels [N]", "names [N]", "a list of D numbers in each row"):
        assert part in words, words


def test_pictures_name_their_file_and_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("_my$2$x.npz", embeddings=X, labels=LABELS)
    assert main(["evaluate", "_my$2$x.npz", "--far", "0.1", "--roc", "r.svg"]) == 0
    assert main(["histogram", "_my$2$x.npz", "--png", "h.SVG"]) == 0
    # letters of an SVG are outlines, but each text stands before them as a comment
    roc, histogram = (
        re.findall("<!-- (.*) -->", Path(name).read_text()) for name in ("r.svg", "h.SVG")
    )
    assert "ROC of _my$2$x.npz, N = 24 of 6 identities, 276 pairs" in roc
    assert "Distances of _my$2$x.npz, N = 24 of 6 identities" in histogram
    at = roc.index(" _my$2$x.npz")
    assert re.fullmatch(r"EER \d+\.\d %, AUC 0\.\d+", roc[at + 1])
