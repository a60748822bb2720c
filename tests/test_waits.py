"""How often the host waits for an accelerator, and that nothing is made on a device of its own.

A real accelerator is not needed: see tests/pretend_device.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricface.memory import CrossBatchMemory
from tests.cases import CLASSIFIERS, LOSSES, MINERS, OTHER_LOSSES
from tests.layouts import draw_rows
from tests.processes import run

X, LABELS, IDS = draw_rows(24, 4, 0).float(), torch.arange(24) % 4, torch.arange(24)

#: Waits of a call whose labels and ids lie on the host. For what is mined one, as its length is
#: not known before.
ALLOWED = {"miner": 1, "loss": 0, "other loss": 0, "classifier": 0}
OTHERWISE = {
    "random": 0,  # what is drawn depends on the labels alone
    "random, three each": 0,
    "batch-all, two each": 2,  # violators, and how many of them are left
    "smooth AP": 1,  # how many positives an anchor has at most
    "COCO, batch centroids": 1,  # which classes are present
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    (answer,) = run("tests.waits_program", tmp_path_factory.mktemp("waits"), 1)
    return dict(answer)


def test_calls_wait_no_more_than_their_answer_needs(found: dict[str, Any]) -> None:
    """That the answers are those of the host, wherever they are from, is seen to there."""
    too_many = []
    for family, name, layout, labels_there, count in found["waits"]:
        allowed = OTHERWISE.get(name, ALLOWED[family])
        if labels_there and family != "classifier":
            # How long the lists of labels of the device are, and the lists of a matrix.
            allowed += 3 if layout == "a matrix" else 1
        if layout == "ties" and family == "miner":
            allowed = 2 * allowed + 1  # mined again, of rows without rounding
        if count > allowed:
            too_many.append((family, name, layout, labels_there, count))
    assert not too_many
    assert len({name for _, name, *_ in found["waits"]}) == len(
        {*MINERS, *LOSSES, *OTHER_LOSSES, *CLASSIFIERS}
    )


def test_blocks_wait_no_more_than_the_whole_unless_they_are_mined(found: dict[str, Any]) -> None:
    for name, count in found["blocks"].items():
        allowed = {"batch-hard": 4, "smooth AP": 24}.get(name, ALLOWED["loss"])  # one for each
        assert count <= allowed, name


def test_the_memory_waits_for_nothing(found: dict[str, Any]) -> None:
    assert found["memory"] == 0


def test_an_error_is_told_at_a_later_call_without_a_wait(found: dict[str, Any]) -> None:
    checks = found["checks"]
    says = {
        "NaN": "embeddings hold NaN or infinity, first in row 7 of 24",
        "class": "labels must be class numbers from 0 to 3, got 4 in row 3 of 24",
        "index": "negative holds 24 in place 1, but embeddings have 24 rows, 0 to 23",
        "length": "row 12 of the embeddings is 3.64e+19 long",
        "infinity": "ref_emb hold NaN or infinity, first in row 0 of 24",
    }
    for name, sentence in says.items():
        *heard, waited = checks[name]
        told = [each for each in heard if each]
        assert heard[0] == "", "the call that is wrong does not wait"
        assert len(told) == 1, name
        assert told[0].startswith(sentence)
        assert "in an earlier call" in told[0]
        assert not waited, name
    assert all(
        now.startswith(sentence) and "earlier" not in now
        for now, sentence in zip(checks["now"], says.values(), strict=True)
    )
    assert checks["off"] == ["", ""]


def test_leaving_a_with_statement_tells_what_is_still_to_come(found: dict[str, Any]) -> None:
    assert found["checks"]["left"].startswith("embeddings hold NaN")


def test_a_wait_for_what_is_mined_brings_the_answer_along(found: dict[str, Any]) -> None:
    assert found["checks"]["mined"] == ""
    assert found["checks"]["mined, then"].startswith("embeddings hold NaN")


@contextmanager
def default_device(name: str) -> Iterator[None]:
    before = torch.get_default_device()
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(before)


EVERYTHING: dict[str, Callable[[], nn.Module]] = {
    **MINERS,
    **LOSSES,
    **OTHER_LOSSES,
    **{name: partial(make, 4, 4) for name, make in CLASSIFIERS.items()},
}


@pytest.mark.parametrize("make", EVERYTHING.values(), ids=EVERYTHING)
def test_tensors_are_made_where_the_data_is(make: Callable[[], nn.Module]) -> None:
    """Not where torch makes them by default: on ``meta`` they would have no values."""
    call = make()
    every_labels: list[Any] = [(LABELS, {}), (LABELS.tolist(), {})]
    if any(make in table.values() for table in (MINERS, LOSSES)):
        every_labels += [(LABELS, {"ids": IDS}), (LABELS[:, None] == LABELS, {})]
    with default_device("meta"):
        for labels, ids in every_labels:
            x = X.clone().requires_grad_()
            found = call(x, labels, **ids)
            if isinstance(found, Tensor):
                found.sum().backward()  # type: ignore[no-untyped-call]
                assert x.grad is not None
                assert x.grad.device.type == "cpu"
            every = [found] if isinstance(found, Tensor) else list(found)
            assert {each.device.type for each in every} == {"cpu"}


def test_a_detector_on_the_device_finds_what_one_on_the_host_does(found: dict[str, Any]) -> None:
    on_the_device, on_the_host = found["faces"]
    assert on_the_device == on_the_host


def test_the_memory_is_where_it_was_moved() -> None:
    memory = CrossBatchMemory(30, 4)
    with default_device("meta"):
        memory.push(X, LABELS)
        memory.push(X, LABELS, IDS)
        assert torch.equal(memory.reference()[1][-24:], LABELS)
        assert memory.drift(X, IDS).tolist() == [0] * 24


def test_settings_are_looked_at_on_the_host() -> None:
    with default_device("meta"):
        for make in (*MINERS.values(), *LOSSES.values()):
            make()
