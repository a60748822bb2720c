"""The compiled kernels: the same answers, in one piece, and none the worse without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from metricface.losses import all_triplets
from metricface.miners import (
    BatchHardMiner,
    DistanceWeightedMiner,
    EasyPositiveMiner,
    SemiHardMiner,
)
from tests.cases import AnyMiner
from tests.layouts import draw_rows

COMPILED: dict[str, Callable[..., AnyMiner]] = {
    "batch-hard": BatchHardMiner,
    "semi-hard": SemiHardMiner,
    "semi-hard, random": partial(SemiHardMiner, negative="random"),
    "distance-weighted": DistanceWeightedMiner,
    "easy positive": EasyPositiveMiner,
}


@pytest.mark.parametrize("make", COMPILED.values(), ids=COMPILED)
def test_eager_and_compiled_select_the_same(make: Callable[..., AnyMiner]) -> None:
    """Over several sizes, so that the kernel compiled for any size is the one that is tried."""
    eager, compiled = make(), make(compiled=True)
    for n, k in ((12, 3), (60, 4), (90, 9), (200, 4)):
        x, labels = draw_rows(n, 16, n).float(), torch.arange(n) // k
        for a, b in zip(eager(x, labels), compiled(x, labels), strict=True):
            assert torch.equal(a, b)


def test_counting_within_thresholds_compiles_into_one_piece() -> None:
    threshold, distance = torch.rand(8, 3), torch.rand(8, 40)
    expected = torch.empty(8, 3), torch.empty(8, 40)
    found = torch.empty(8, 3), torch.empty(8, 40)
    all_triplets._count_within(threshold, distance, *expected)
    torch.compile(all_triplets._count_within, fullgraph=True)(threshold, distance, *found)
    assert torch.equal(expected[0], found[0])
    assert torch.equal(expected[1], found[1])


PROGRAM = """
import warnings, torch
from metricface.miners import EasyPositiveMiner, SemiHardMiner
x, labels = torch.randn(24, 8), torch.arange(24) // 4
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for make in (SemiHardMiner, EasyPositiveMiner):
        for _ in range(2):
            mined = make(compiled=True)(x, labels)
            assert all(map(torch.equal, mined, make()(x, labels)))
ours = [str(w.message) for w in caught if "torch.compile failed" in str(w.message)]
print(len(ours), ours[0])
"""


def test_without_a_compiler_one_warning_and_eager_goes_on(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CXX": str(tmp_path / "no-such-compiler"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
        "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    count, _, said = done.stdout.partition(" ")
    assert count == "1"
    assert "goes on uncompiled" in said
    assert "no-such-compiler" in said or "compiler" in said
