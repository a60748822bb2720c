"""Nothing of size B×R×R, and blocks within the byte budget: the process's own high-water mark."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from benchmarks.speed.timing import peak_extra_mib
from metricface.memory import CrossBatchMemory
from metricface.miners import SemiHardMiner
from tests.cases import MINERS
from tests.layouts import draw_rows

#: Their answer alone is gigabytes here, or they look at no distance.
LISTING = {"batch-all", "batch-all, every triplet", "random", "random, three each"}


def peak_of(work: Callable[[], object]) -> float:
    peak = peak_extra_mib(work)
    if math.isnan(peak):
        pytest.skip("this system does not tell the high-water mark of a process")
    return peak


def test_semi_hard_on_8192_rows_takes_less_than_a_gibibyte() -> None:
    x, labels = draw_rows(8192, 128, 0).float(), torch.arange(8192) // 4
    assert peak_of(lambda: SemiHardMiner()(x, labels)) < 1024


@pytest.mark.parametrize("name", [name for name in MINERS if name not in LISTING])
def test_a_batch_against_a_large_memory_stays_within_its_budget(name: str) -> None:
    """512 × 65,536 distances are 128 MiB; a budget of 32 MiB takes them in blocks.

    The references themselves, prepared, are 4 MiB and the lists that sort them 2 MiB.
    """
    memory = CrossBatchMemory(65_536, 16)
    memory.push(draw_rows(65_536, 16, 0).float(), torch.arange(65_536) // 4)
    ref_emb, ref_labels, _ = memory.reference()
    x, labels = draw_rows(512, 16, 1).float(), torch.arange(512)
    miner = MINERS[name](block_bytes=32 * 2**20)
    found = sum(len(index) for index in miner(x, labels, ref_emb, ref_labels))
    answer = 4 * 8 * found / 2**20  # what is returned is not the miner's to bound
    peak = peak_of(lambda: miner(x, labels, ref_emb, ref_labels))
    assert 4 < peak < 48 + answer
