"""The speed benchmark: what it times is what it says, and what is too large is said, not run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.speed import mining
from benchmarks.speed.__main__ import main
from benchmarks.speed.contenders import CONTENDERS, LOSSES
from benchmarks.speed.mining import Batch, measure
from benchmarks.speed.timing import peak_extra_mib, side_by_side


def test_a_small_grid_makes_table_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [c for c in CONTENDERS if c.name in ("batch-hard", "all-triplets loss")]
    monkeypatch.setattr(mining, "CONTENDERS", chosen)
    assert (
        main(["--grid", "4x3x8,4x4x128", "--quick", "--threads", "1", "--out", str(tmp_path)]) == 0
    )
    table = pd.read_csv(tmp_path / "speed.csv")
    assert set(table["who"]) >= {"product", "eager", "pml"}
    assert set(table["method"]) == {"batch-hard", "all-triplets loss"}
    assert (table["median_ms"] > 0).all()
    for _, rows in table.groupby(["n", "method"]):
        ms = rows.set_index("who")["median_ms"]
        ratio = rows.set_index("who")["times_product"]
        faster = rows.set_index("who")["times_faster_than_pml"]
        assert ratio["eager"] == pytest.approx(ms["eager"] / ms["product"])
        assert faster["eager"] == pytest.approx(ms["pml"] / ms["eager"])
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    assert "open-metric-learning" in capsys.readouterr().out


def test_losses_are_timed_forward_and_backward_beside_theirs(tmp_path: Path) -> None:
    assert main(["losses", "--grid", "4x3x8", "--quick", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "losses.csv").set_index(["method", "who"])
    assert len(table.xs("eager", level="who")) == len(LOSSES)
    assert len(table.xs("pml", level="who")) == sum(each.theirs is not None for each in LOSSES)
    assert (table["median_ms"] > 0).all()


def test_detection_counts_the_faces_and_times_each_call(tmp_path: Path) -> None:
    assert main(["detection", "--every", "200", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "detection.csv").set_index(["border", "degrees"])
    assert (table[["none", "one", "more"]].sum(axis=1) == 2).all()
    assert table.loc[[(0, 0), (70, 0), (70, 15)], "one"].tolist() == [2, 2, 2]
    assert table.loc[(70, 0), "moved_by"] < 3
    assert (table["median_ms"] > 0).all()


def test_a_peer_too_large_is_named_with_the_arithmetic() -> None:
    with_peer = next(c for c in CONTENDERS if c.name == "batch-all, ten each")
    rows = measure(Batch(8, 4, 8), with_peer, seconds=0.01, allowed_bytes=40_000)
    needed = 32**3 + 24 * 32 * 3 * 28
    assert needed > 40_000  # a mask of N³ and three int64 for each triplet
    (note,) = [row["note"] for row in rows if row["who"] == "pml"]
    assert "not run" in str(note)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(SystemExit, match="not 'everything'"):
        main(["everything"])


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "speed.csv" in capsys.readouterr().out


def test_heads_are_timed_on_the_device_named(tmp_path: Path) -> None:
    small = ["--classes", "30", "--dim", "8", "--batch", "4", "--seconds", "0.01", "--no-peers"]
    assert main(["classifiers", *small, "--device", "cpu", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "classifiers.csv")
    assert (table["median_ms"] > 0).all()
    assert len(table) == 9


@pytest.mark.parametrize("word", ["mining", "losses", "classifiers", "detection"])
def test_a_device_that_is_not_there_is_said(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([word, "--device", "cuda:99"])
    assert stopped.value.code == 2
    assert "argument --device: cuda:99 is not to be had here" in capsys.readouterr().err


def test_work_on_the_cpu_is_weighed_there_though_cuda_exists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("reset_peak_memory_stats", "memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: 0)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: waited.append("cuda"))
    cpu = torch.device("cpu")
    assert 30 < peak_extra_mib(lambda: torch.ones(10, 1024, 1024), cpu) < 50
    side_by_side({"nothing": lambda: None}, device=cpu)
    assert not waited


def test_work_on_an_accelerator_is_waited_for_and_weighed_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    held = {"memory_allocated": 3 * 2**20, "max_memory_allocated": 10 * 2**20}

    def noted(name: str, *_: object) -> int | None:
        happened.append(name)
        return held.get(name)

    for name in (*held, "synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, partial(noted, name))
    cuda = torch.device("cuda", 0)
    assert peak_extra_mib(lambda: happened.append("work"), cuda) == 7
    order = [name for name in happened if name in ("work", "synchronize", "max_memory_allocated")]
    assert order[order.index("work") :] == ["work", "synchronize", "max_memory_allocated"]
    happened.clear()
    side_by_side({"one": lambda: happened.append("work")}, rounds=2, device=cuda)
    assert happened == ["synchronize", "work", "synchronize"] * 2
