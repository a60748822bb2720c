"""Outputs replace what they are meant to and nothing else; it is said before the work."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from metricface.cli import main

LABELS = np.arange(24) // 4
X = np.random.default_rng(0).normal(size=(24, 5)).astype("f4")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    names = np.array([f"i{row}" for row in range(24)])
    np.savez("x.npz", embeddings=X, labels=LABELS, names=names)
    np.save("x.npy", X)
    np.save("y.npy", LABELS)
    Path("p.csv").write_text("first,second,same\n")
    Path("inside").mkdir()
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The one sentence of a command that fails, having changed nothing."""
    capsys.readouterr()
    before = {file: file.lstat().st_mtime_ns for file in Path().iterdir()}
    assert main([*command]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert {file: file.lstat().st_mtime_ns for file in Path().iterdir()} == before
    return err


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("evaluate x.npz --out x.npz", "x.npz"),
        ("evaluate x.npz --out inside/../x.npz", "x.npz"),
        ("evaluate x.npz --html x.npz", "x.npz"),
        ("evaluate x.npy --labels y.npy --out y.npy", "y.npy"),
        ("evaluate x.npz --pairs p.csv --out p.csv", "p.csv"),
        ("evaluate --query x.npz --gallery gone.npz --out gone.npz", "gone.npz"),
        ("evaluate --query x.npy --query-labels y.npy --gallery x.npz --out y.npy", "y.npy"),
        ("evaluate --query x.npz --gallery x.npy --gallery-labels y.npy --out y.npy", "y.npy"),
        ("mine x.npz --out x.npz", "x.npz"),
        ("mine x.npy --labels y.npy --out y.npy", "y.npy"),
        ("histogram x.npz --csv x.npz", "x.npz"),
        ("histogram x.npy --labels y.npy --out y.npy", "y.npy"),
    ],
)
def test_an_input_is_not_overwritten(
    command: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"cannot be written: {file} is read" in refused(capsys, *command.split())


@posix
def test_nor_under_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("soft.npz").symlink_to("x.npz")
    os.link("x.npz", "hard.npz")
    for name in ("soft.npz", "hard.npz"):
        said = refused(capsys, "mine", "x.npz", "--out", name)
        assert f"{name} cannot be written: x.npz is read" in said
        said = refused(capsys, "mine", name, "--out", "x.npz")
        assert f"x.npz cannot be written: {name} is read" in said


@pytest.mark.parametrize(
    "command",
    [
        "evaluate x.npz --out r.png --roc r.png",
        "evaluate x.npz --out r.html --html ./r.html",
        "evaluate x.npz --roc r.svg --html r.svg",
        "histogram x.npz --csv h.png --png h.png",
        "histogram x.npz --csv h --out inside/../h",
    ],
)
def test_two_outputs_are_two_files(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is to be written twice" in refused(capsys, *command.split())


@posix
def test_only_files_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    Path("to_pipe").symlink_to("pipe")
    for name in ("pipe", "to_pipe"):
        said = refused(capsys, "mine", "x.npz", "--out", name)
        assert f"{name} cannot be written: it is no file but a device or a pipe" in said


@posix
def test_a_link_stays_one_and_a_file_keeps_who_may_read_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("inside/m.csv").write_text("old")
    Path("inside/m.csv").chmod(0o640)
    Path("m.csv").symlink_to("inside/m.csv")
    Path("new.csv").symlink_to("inside/new.csv")
    for name in ("m.csv", "new.csv"):
        assert main(["mine", "x.npz", "--out", name]) == 0
        assert Path(name).is_symlink()
        assert Path("inside", name).read_text().startswith("anchor,")
    assert stat.S_IMODE(Path("inside/m.csv").stat().st_mode) == 0o640
    assert sorted(os.listdir("inside")) == ["m.csv", "new.csv"]
    Path("lost.csv").symlink_to("nowhere/lost.csv")
    assert "there is no folder" in refused(capsys, "mine", "x.npz", "--out", "lost.csv")


def test_a_folder_that_may_not_be_written_is_said_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(path: Path, mode: int) -> bool:
        return Path(path).name != "inside"

    monkeypatch.setattr(os, "access", read_only)  # the superuser may write anywhere
    for command in (["mine", "gone.npz"], ["evaluate", "gone.npz"]):
        said = refused(capsys, *command, "--out", "inside/m.csv")
        assert "inside/m.csv cannot be written: nothing may be written to the folder inside" in said
