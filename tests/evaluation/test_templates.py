"""Templates of sets that do not fit into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metricface.distances import rows
from metricface.evaluation import mean_templates
from tests.live_bytes import peak_mib

ROWS, DIM = 20_000, 64


@pytest.mark.parametrize("media", [None, np.arange(ROWS) % 7])
def test_a_mapped_file_is_read_in_stretches(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    media: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
) -> None:
    monkeypatch.setattr(rows, "_AT_ONCE", 1000)
    x = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    templates = np.arange(ROWS) % 10
    found = mean_templates(torch.from_numpy(x), templates, media=media)
    whole = ROWS * DIM * 8 / 2**20  # in the float64 of the sums
    assert peak_mib(lambda: mean_templates(mapped, templates, media=media)) < whole / 3
    again = mean_templates(mapped, templates, media=media)
    assert again.embeddings.equal(found.embeddings)
    assert again.names.tolist() == list(range(10))
