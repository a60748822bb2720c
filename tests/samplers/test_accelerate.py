"""Real trainings under Accelerate: every batch comes, once, on one process and on two."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import chain
from typing import Any

import pytest

from metricface.samplers import PKSampler
from tests.processes import run
from tests.samplers.cases import NAMES
from tests.samplers.test_resume import epochs_of

pytestmark = pytest.mark.skipif(not find_spec("accelerate"), reason="needs accelerate")
PROGRAM = "tests.samplers.accelerate_program"
EXPECTED = epochs_of(PKSampler(NAMES, 4, 3))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(PROGRAM, tmp_path_factory.mktemp("one"), 1)[0]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What both processes found, trial by trial."""
    ranks = run(PROGRAM, tmp_path_factory.mktemp("two"), 2)
    return {trial: [rank[trial] for rank in ranks] for trial in ranks[0]}


def shares(epoch: int) -> list[list[list[int]]]:
    """What Accelerate makes of five batches: the first comes again, to make them even."""
    batches = EXPECTED[epoch]
    return [batches[0::2], [*batches[1::2], batches[0]]]


def test_one_process_sees_every_batch_and_resumes(one: Any) -> None:
    assert one["prepared"] == one["dealt"] == EXPECTED[:2]
    assert one["saved_by_accelerate"] == one["saved_with_workers"] == EXPECTED
    assert one["gathered"] == [12] * 5  # and not the data set's remainder of the last batch
    assert one["resumed_with_state"] == EXPECTED
    assert one["resumed_by_skipping"] == EXPECTED
    assert one["resumed_with_torchdata"] == EXPECTED[:2]


def test_a_lost_place_is_refused(one: Any) -> None:
    assert "ahead of the training loop" in one["registered"]
    assert "in epoch 3, but Accelerate's loader begins with epoch 0" in one["lost_place"]


@pytest.mark.parametrize(
    "trial",
    [
        "not_prepared",
        "split",
        "dealt",
        "dealt_by_one",
        "saved_by_accelerate",
        "saved_with_workers",
        "saved_where_one_draws",
    ],
)
def test_the_batches_of_two_processes_are_that_of_one(two: Any, trial: str) -> None:
    whole = epochs_of(PKSampler(NAMES, 8, 3))
    for epoch, parts in enumerate(zip(*two[trial], strict=True)):
        assert [list(chain(*batch)) for batch in zip(*parts, strict=True)] == whole[epoch]


def test_accelerate_shares_the_batches_out(two: Any) -> None:
    for epoch in range(2):
        assert [rank[epoch] for rank in two["prepared"]] == shares(epoch)
    assert two["gathered"] == [[24] * 3] * 2


def test_metrics_are_gathered_of_whole_batches(two: Any) -> None:
    """Accelerate would take 12, what is left of the data set, for the rows of the last one."""
    assert two["gathered_of_parts"] == [[36, 36, 36]] * 2


def test_saved_where_batches_are_shared_out(two: Any) -> None:
    """What was left to share out begins with the third batch."""
    for rank, seen in enumerate(two["saved_where_batches_are_shared_out"]):
        left = EXPECTED[1][2:]
        rest = [left[0::2], [*left[1::2], left[0]]][rank]
        assert seen == [shares(0)[rank], [EXPECTED[1][rank], *rest], shares(2)[rank]]


def test_one_process_may_draw_for_all(two: Any) -> None:
    """An odd batch at the end is cut in two."""
    for epoch in range(2):
        parts = [rank[epoch] for rank in two["dispatched"]]
        assert [part[:2] for part in parts] == [part[:2] for part in shares(epoch)]
        assert parts[0][2] + parts[1][2] == EXPECTED[epoch][4]


def test_two_processes_resume(two: Any) -> None:
    for epoch in range(3):
        ranks = [rank[epoch] for rank in two["resumed_by_skipping"]]
        assert ranks == shares(epoch)
        ranks = [rank[epoch] for rank in two["resumed_with_state"]]
        assert ranks[0] == shares(epoch)[0]
        assert ranks[1][:2] == shares(epoch)[1][:2]


@pytest.mark.parametrize(
    ("trial", "sentence"),
    [
        ("shared_out_twice", "leave the loader out of accelerator.prepare"),
        ("registered", "pass done="),
        ("dealt_and_split", "leave split_batches out"),
        ("split_in_the_midst", "let p be a multiple of 2"),
        ("counted_as_one", "needs Accelerator(cpu=True)"),
    ],
)
def test_what_would_lose_batches_is_refused_by_both(two: Any, trial: str, sentence: str) -> None:
    assert all(sentence in found for found in two[trial])
