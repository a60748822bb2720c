"""The scale benchmarks run at a small size and measure what they say."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmarks.scale import evaluation, offline
from benchmarks.scale.__main__ import main


def test_embeddings_are_unit_and_clustered() -> None:
    x, labels = offline.clustered(600, 32)
    assert torch.allclose(torch.linalg.vector_norm(x, dim=1), torch.ones(600), atol=1e-5)
    assert labels.bincount().double().mean() == pytest.approx(12, abs=1)
    same = labels[:, None] == labels
    near = torch.cdist(x, x)
    assert near[same].mean() < 0.8 * near[~same].mean()


@pytest.mark.parametrize("search", ["exact", "hnsw"])
def test_a_search_reports_seconds_memory_and_recall(search: offline.Search) -> None:
    seconds, added, recall = offline.measure(search, 400, 16, 5, threads=1)
    assert seconds > 0
    assert added >= 0
    assert recall is None if search == "exact" else 0.5 < (recall or 0) <= 1


class _Here:
    """Stands for a pool of one process: starting a real one takes seconds."""

    def Pool(self, _: int) -> _Here:  # noqa: N802  (multiprocessing's name)
        return self

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def apply(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return function(*arguments)


def test_the_table_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: _Here())
    file = tmp_path / "evaluation.csv"
    options = ["--samples", "300", "--dim", "8", "--repeats", "1", "--threads", "1"]
    measures = ["--measures", "product", "histogram", "--out", str(file)]
    assert main(["evaluation", *options, *measures]) == 0
    table = pd.read_csv(file)
    assert table["measure"].tolist() == ["product", "histogram"]
    assert table["times_product"][1] == pytest.approx(table["seconds"][1] / table["seconds"][0])
    assert capsys.readouterr().out.count("\n") == 3
    assert set(evaluation.MEASURES) >= {"retrieval", "pml"}
