"""Real trainings under Lightning: every batch comes, once, and a resumed run goes on."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import chain
from typing import Any

import pytest

from metricface.samplers import PKSampler
from tests.processes import run
from tests.samplers.cases import NAMES
from tests.samplers.test_resume import epochs_of

pytestmark = pytest.mark.skipif(not find_spec("lightning"), reason="needs lightning")
PROGRAM = "tests.samplers.lightning_program"
EPOCHS = epochs_of(PKSampler(NAMES, 4, 3))
EXPECTED = list(chain(*EPOCHS))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(PROGRAM, tmp_path_factory.mktemp("one"), 1)[0]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Any:
    ranks = run(PROGRAM, tmp_path_factory.mktemp("two"), 2)
    return {trial: [rank[trial] for rank in ranks] for trial in ranks[0]}


def test_every_epoch_has_its_batches(one: Any) -> None:
    assert one["whole"] == EXPECTED


@pytest.mark.parametrize(
    "trial",
    [
        "in an epoch",
        "in an epoch, workers",
        "in the first epoch, workers",
        "at its last batch",
        "between epochs",
        "between epochs, plain",
    ],
)
def test_a_resumed_run_goes_on(one: Any, trial: str) -> None:
    assert one[trial] == {"batches": EXPECTED, "warned": False}


def test_lightning_warns_where_a_plain_loader_begins_the_epoch_anew(one: Any) -> None:
    first, second, third = EPOCHS
    again = [*first, *second[:2], *second[:3], *third]
    assert one["in an epoch, plain"] == {"batches": again, "warned": True}


@pytest.mark.parametrize("trial", ["between epochs, workers", "between epochs, plain, workers"])
def test_workers_started_before_the_epoch_is_named_begin_with_the_first(
    one: Any, trial: str
) -> None:
    """Lightning names the epoch only after it has started them: the docs say so."""
    again = [*EPOCHS[0], *EPOCHS[0], *EPOCHS[2]]
    assert one[trial]["batches"] == again


def test_two_processes_share_the_batch_of_one(two: Any) -> None:
    whole = list(chain(*epochs_of(PKSampler(NAMES, 8, 3))[:2]))
    assert [list(chain(*batch)) for batch in zip(*two["ours"], strict=True)] == whole
    assert all("use_distributed_sampler=False" in refused for refused in two["theirs"])


def test_a_killed_training_ends_as_if_it_had_gone_on(one: Any, two: Any) -> None:
    """Batches, draws and weights, bit for bit, from anywhere in an epoch of a plain loader."""
    steps = [[9, 8], [9, 8], [3, 13], [6, 10], [6, 10], [7, 10], [12, 5], [5, 5]]
    as_whole = {"same weights": True, "the rest": True, "warned": False}
    assert one["killed"] == [{**as_whole, "steps": each} for each in steps]
    assert two["killed"] == [[{**as_whole, "steps": [4, 3]}] * 2] * 2


def test_what_cannot_be_kept_is_refused(one: Any, two: Any) -> None:
    says = [
        "StatefulDataLoader keeps its place itself",
        "0 of the 1 training loaders have a sampler of metricface",
        "the checkpoint was saved without lightning_resume()",
        "was given 0 modules beside the LightningModule, and the checkpoint holds 1",
        "the state is of a sampler with p=4 instead of 5",
    ]
    for sentence, found in zip(says, one["refused"], strict=True):
        assert sentence in found
    for (found,) in two["refused"]:
        assert "pass Trainer(..., use_distributed_sampler=False)" in found
