"""The scale benchmark runs, and its table says what it measured."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale.__main__ import main
from benchmarks.scale.samplers import MAKERS, labels_of


def test_the_table_has_a_row_for_every_sampler_and_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "samplers.csv"
    quick = ["--repeats", "1", "--seconds", "0.01", "--peer-batches", "3", "--p", "4"]
    assert main(["samplers", "--images", "600", *quick, "--out", str(out)]) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    expected = [(name, kind) for kind in ("uniform", "zipf") for name in MAKERS]
    assert [(row["sampler"], row["labels"]) for row in rows] == expected
    for row in rows:
        assert float(row["batches_per_s"]) > 0
        assert float(row["first_batch_s"]) >= float(row["setup_s"]) > 0
        assert float(row["peak_mib"]) > 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)
    assert [path.name for path in out.parent.iterdir()] == ["samplers.csv"]


@pytest.mark.parametrize("kind", ["uniform", "zipf"])
def test_labels_have_the_size_and_the_tail_they_are_named_for(kind: str) -> None:
    labels = labels_of(kind, 20_000)
    sizes = np.bincount(labels)
    assert len(labels) == 20_000
    assert len(sizes) == 1_700
    assert (sizes.max() > 20 * sizes.mean()) == (kind == "zipf")
