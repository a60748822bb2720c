"""The speed benchmark: what it times is what it says, and what is too large is said, not run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.speed import mining
from benchmarks.speed.__main__ import main
from benchmarks.speed.contenders import CONTENDERS
from benchmarks.speed.mining import Batch, measure


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
