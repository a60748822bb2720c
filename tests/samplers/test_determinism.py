"""Nothing but labels, settings and the number of the epoch decides which batches come."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed
from torch.testing._internal.distributed.fake_pg import FakeStore

from metricface.samplers import PKSampler
from metricface.samplers.identity_sampler import IdentitySampler
from tests.samplers.cases import NAMES, SAMPLERS

PRINT_CHECKSUM = """
import zlib
from tests.samplers.cases import SAMPLERS
print(zlib.crc32(repr([list(make(1)) for make in SAMPLERS.values()]).encode()))
"""


@pytest.mark.parametrize("kind", SAMPLERS)
def test_random_numbers_drawn_elsewhere_change_nothing(kind: str) -> None:
    expected = list(SAMPLERS[kind](1))
    seen = []
    for batch in SAMPLERS[kind](1):
        seen.append(batch)
        random.seed(len(seen))
        np.random.seed(len(seen))  # noqa: NPY002
        torch.manual_seed(len(seen))
    assert seen == expected


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_sampler_draws_from_no_generator_but_its_own(kind: str) -> None:
    before = outside_state()
    list(SAMPLERS[kind](1))
    assert outside_state() == before


def outside_state() -> list[object]:
    """The state of every global generator."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return [random.getstate(), repr(numpy_state), torch.get_rng_state().tolist()]


def test_string_labels_do_not_depend_on_the_hash_seed() -> None:
    checksums = {
        subprocess.run(
            [sys.executable, "-c", PRINT_CHECKSUM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(checksums) == 1


@pytest.mark.parametrize("kind", SAMPLERS)
def test_seeds_and_epochs_differ(kind: str) -> None:
    sampler = SAMPLERS[kind](1)
    assert list(sampler) != list(SAMPLERS[kind](2))
    assert list(sampler) != list(SAMPLERS[kind](1))


def test_batches_do_not_depend_on_how_many_are_computed_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = {kind: list(make(5)) for kind, make in SAMPLERS.items()}
    monkeypatch.setattr("metricface.samplers.identity_sampler._CHUNK", 1)
    monkeypatch.setattr("metricface.samplers.hard._RECOUNT", 2)
    for kind, make in SAMPLERS.items():
        sampler = make(5)
        sampler.load_state_dict({**sampler.state_dict(), "batch": 3})
        assert list(sampler) == expected[kind][3:]


def test_the_process_group_says_which_part_is_ours() -> None:
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=1, world_size=2)
    try:
        ours: IdentitySampler = PKSampler(NAMES, 4, 3)
    finally:
        torch.distributed.destroy_process_group()
    assert (ours.rank, ours.world_size) == (1, 2)
    assert list(ours) == list(PKSampler(NAMES, 4, 3, rank=1, world_size=2))
