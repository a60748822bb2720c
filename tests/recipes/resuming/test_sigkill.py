"""Killed for real: a process that gets SIGKILL loses at most what came after its checkpoint."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from metricface.files import LOCK
from metricface.recipes.resuming.checkpoints import NAME, PREVIOUS
from tests.recipes.resuming.victim import EVERY, STEPS, train
from tests.recipes.toys import differences

ROOT = Path(__file__).parents[3]
PATIENCE = 300  # seconds, for a machine that is busy


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


@contextmanager
def started(folder: Path, trap: str) -> Iterator[subprocess.Popen[bytes]]:
    """The victim; it does not survive the test."""
    # imported, not run as __main__: the names of its parts are settings of the training
    walk_in = "import sys; from tests.recipes.resuming.victim import main; main(*sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", walk_in, str(folder), trap], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], folder: Path, step: int) -> None:
    """Until the victim has saved that step."""
    deadline = time.monotonic() + PATIENCE
    while not (folder / NAME).exists() or step_of(folder) < step:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)


def step_of(folder: Path, name: str = NAME) -> int:
    saved = torch.load(folder / name, weights_only=True)
    return int(saved["training"]["step"])


def check_restart(folder: Path, whole: Path) -> None:
    """The same training once more, in the same folder."""
    train(folder)
    one, other = (torch.load(each / NAME, weights_only=True) for each in (folder, whole))
    assert differences(one, other) == []


def test_during_training(tmp_path: Path, whole: Path) -> None:
    with started(tmp_path, "slow") as process:
        wait_for(process, tmp_path, 2 * EVERY)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert 2 * EVERY <= step_of(tmp_path) < STEPS
    check_restart(tmp_path, whole)


BESIDE = r"\.checkpoint\.(previous\.)?pt\.[0-9a-f]{16}\.partial"


@pytest.mark.parametrize(
    ("trap", "left", "last"),
    [
        ("half a file", [BESIDE, LOCK, PREVIOUS, NAME], NAME),
        ("whole, but the one before is not kept yet", [BESIDE, BESIDE, LOCK, PREVIOUS, NAME], NAME),
        ("whole, but not in its place", [BESIDE, LOCK, PREVIOUS, NAME], NAME),
        ("no links: between the renames", [BESIDE, LOCK, PREVIOUS], PREVIOUS),
    ],
)
def test_during_a_checkpoint(
    trap: str, left: list[str], last: str, tmp_path: Path, whole: Path
) -> None:
    """The victim kills itself in the midst of its third checkpoint; the second one is whole."""
    with started(tmp_path, trap) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    found = sorted(os.listdir(tmp_path))
    assert re.fullmatch(" ".join(left), " ".join(found)), found
    assert step_of(tmp_path, last) == EVERY
    check_restart(tmp_path, whole)
    assert sorted(os.listdir(tmp_path)) == [LOCK, PREVIOUS, NAME]


def test_a_second_training_in_the_folder_is_refused_and_harms_nothing(
    tmp_path: Path, whole: Path
) -> None:
    with started(tmp_path, "stuck") as process:
        wait_for(process, tmp_path, 0)
        before = (tmp_path / NAME).read_bytes()
        for _ in range(3):
            with pytest.raises(BlockingIOError, match="in use by a run that has not ended; wait"):
                train(tmp_path)
        assert (tmp_path / NAME).read_bytes() == before
        process.kill()
        process.wait()
        check_restart(tmp_path, whole)  # the lock has died with its process
