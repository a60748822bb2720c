"""Nothing of size B×R×R, and blocks within the byte budget."""

from __future__ import annotations

import pytest
import torch

from metricface.memory import CrossBatchMemory
from metricface.miners import SemiHardMiner
from tests.cases import MINERS
from tests.layouts import draw_rows
from tests.live_bytes import peak_mib

#: Their answer alone is gigabytes here, or they look at no distance.
LISTING = {"batch-all", "batch-all, every triplet", "random", "random, three each"}


def test_what_is_counted_is_what_is_held_at_once() -> None:
    mib = torch.zeros(2**18)

    def work() -> None:
        for _ in range(3):
            two = mib + 1, mib + 2
            del two
        torch.cat([mib, mib]).add_(1).view(2, -1)

    assert peak_mib(work) == 2


def test_semi_hard_on_8192_rows_takes_less_than_a_gibibyte() -> None:
    x, labels = draw_rows(8192, 32, 0).float(), torch.arange(8192) // 4
    assert 64 < peak_mib(lambda: SemiHardMiner()(x, labels)) < 320


@pytest.mark.parametrize("name", [name for name in MINERS if name not in LISTING])
def test_a_batch_against_a_large_memory_stays_within_its_budget(name: str) -> None:
    """512 × 65,536 distances are 128 MiB; a budget of 32 MiB takes them in blocks.

    The references, prepared, and the lists that sort them are some 10 MiB beside it.
    """
    memory = CrossBatchMemory(65_536, 16)
    memory.push(draw_rows(65_536, 16, 0).float(), torch.arange(65_536) // 4)
    ref_emb, ref_labels, _ = memory.reference()
    x, labels = draw_rows(512, 16, 1).float(), torch.arange(512)
    miner = MINERS[name](block_bytes=32 * 2**20)
    found = sum(len(index) for index in miner(x, labels, ref_emb, ref_labels))
    answer = 4 * 8 * found / 2**20  # what is returned is not the miner's to bound
    assert peak_mib(lambda: miner(x, labels, ref_emb, ref_labels)) < 32 + 10 + answer
