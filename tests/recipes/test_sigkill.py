"""Killed for real: a process that gets SIGKILL loses at most what came after its checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from metricface.recipes.checkpoints import NAME
from tests.recipes.toys import differences
from tests.recipes.victim import EVERY, STEPS, train

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds, for a machine that is busy


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


def start(folder: Path, trap: str) -> subprocess.Popen[bytes]:
    # imported, not run as __main__: the names of its parts are settings of the training
    walk_in = "import sys; from tests.recipes.victim import main; main(*sys.argv[1:])"
    return subprocess.Popen([sys.executable, "-c", walk_in, str(folder), trap], cwd=ROOT)


def step_of(folder: Path) -> int:
    saved = torch.load(folder / NAME, weights_only=True)
    return int(saved["training"]["step"])


def check_restart(folder: Path, whole: Path) -> None:
    """The same training once more, in the same folder."""
    train(folder)
    one, other = (torch.load(each / NAME, weights_only=True) for each in (folder, whole))
    assert differences(one, other) == []


def test_during_training(tmp_path: Path, whole: Path) -> None:
    process = start(tmp_path, "slow")
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / NAME).exists() or step_of(tmp_path) < 2 * EVERY:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 2 * EVERY <= step_of(tmp_path) < STEPS
    check_restart(tmp_path, whole)


@pytest.mark.parametrize("trap", ["half a file", "whole file, not in its place"])
def test_during_a_checkpoint(trap: str, tmp_path: Path, whole: Path) -> None:
    """The victim kills itself in the midst of its third checkpoint; the second one is whole."""
    assert start(tmp_path, trap).wait(PATIENCE) == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == [f".{NAME}.partial", NAME]
    assert step_of(tmp_path) == EVERY
    check_restart(tmp_path, whole)
    assert os.listdir(tmp_path) == [NAME]
