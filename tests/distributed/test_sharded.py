"""A classifier split over processes is the classifier on one, and so is its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.distributed.checkpoint_parts import SEVERAL, Training, load_all, weights
from tests.processes import run


class Runs(NamedTuple):
    """What each of two processes found, then each of three, and where the first two saved."""

    said: dict[int, Any]
    checkpoint: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("sharded")
    said = {}
    for world in (2, 3):
        (folder / str(world)).mkdir()
        said[world] = run("tests.distributed.sharded_program", folder / str(world), world)
    return Runs(said, folder / "checkpoint")


@pytest.fixture(params=[2, 3])
def said(request: pytest.FixtureRequest, runs: Runs) -> Any:
    return runs.said[request.param]


def test_value_gradients_and_state_are_those_of_the_head_on_one_process(said: Any) -> None:
    for own in said:
        errors: dict[str, list[float]] = own["errors"]
        assert len(errors) > 100
        assert {name: found for name, found in errors.items() if not max(found) <= 1e-12} == {}


def test_the_value_is_equal_on_all_ranks(said: Any) -> None:
    assert len(said[0]["values"]) > 200
    assert all(own["values"] == said[0]["values"] for own in said)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("class", "{last}: labels must be class numbers from 0 to 4, got 5 in row 1 of 2"),
        ("NaN", "{last}: embeddings hold NaN or infinity"),
        ("names", "{last}: labels must be class numbers"),
        ("dimension", "{last}: the classifier is for embeddings of dimension 4, got 3"),
        ("dtype", "{last} has embeddings of torch.float64 and rank 0 has embeddings of torch.fl"),
        ("head", "{last} has CosFace(num_classes=6, dim=4), sample_rate=1.0, seed=0 and rank 0"),
        ("rate", "{last} has CosFace(num_classes=5, dim=4), sample_rate=0.5, seed=0 and rank 0"),
        ("twice", "the classes of this CosFace are split already"),
    ],
)
def test_every_rank_hears_what_is_wrong_with_one(said: Any, case: str, says: str) -> None:
    heard = {own["heard"][case] for own in said}
    assert len(heard) == 1
    assert says.format(last=f"rank {len(said) - 1} of {len(said)}") in heard.pop()


def test_classes_begin_as_on_one_process_and_no_others_are_held(said: Any) -> None:
    for own in said:
        assert len(own["begun"]) > 30
        assert [name for name, right in own["begun"].items() if not right] == []


def test_the_state_of_a_plain_head_goes_in_and_comes_out_again(said: Any) -> None:
    assert all(right for own in said for right in own["taken in"])


def test_sampling_takes_what_is_in_the_batch_and_fills_up(said: Any) -> None:
    each = -(-23 // len(said))
    shares = [range(r * each, min(r * each + each, 23)) for r in range(len(said))]
    present = set(range(10))
    for taken in said[0]["sampled"]["taken"]:
        for share, mine in zip(shares, taken, strict=True):
            here = present & {*share}
            assert here <= {*mine} <= {*share}
            assert len(mine) == max(len(here), int(0.4 * len(share)))
    others = [{*taken[-1]} for taken in said[0]["sampled"]["taken"]]
    assert len(set.union(*others)) > len(others[0])


def test_a_sampled_step_is_that_of_the_head_of_the_sampled_classes(said: Any) -> None:
    for own in said:
        assert max(own["sampled"]["errors"]) <= 1e-12


def test_the_step_of_the_sampling_is_part_of_the_state(said: Any) -> None:
    for own in said:
        assert own["sampled"]["resumed"]
        assert [step for step, _ in own["sampled"]["again"]] == [1, 2, 3]


def test_optimizers_that_take_no_dtensor_train_the_rows_of_each_process(said: Any) -> None:
    for own in said:
        assert {*own["other optimizers"]} == {"Rprop", "SGD"}
        assert max(own["other optimizers"].values()) <= 1e-12


def test_outside_of_training_nothing_is_sampled(said: Any) -> None:
    for own in said:
        assert float(own["sampled"]["all"]) == pytest.approx(
            float(own["sampled"]["without sampling"]), rel=1e-12
        )


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")  # which is what we want
def test_a_checkpoint_of_two_processes_goes_on_on_three_and_on_one(runs: Runs) -> None:
    def all_in_one(first: int, last: int) -> dict[str, list[float]]:
        training = Training()
        if first:
            load_all(training, runs.checkpoint)
        training.run(first, last)
        return weights(training)

    expected = all_in_one(0, 6)
    saved, on_three, on_one = (
        runs.said[2][0]["weights"],
        runs.said[3][0]["weights"],
        all_in_one(3, 6),
    )
    assert sorted(expected) == sorted([*SEVERAL, "network", "pairs"])
    for name, right in expected.items():
        assert saved[name] != pytest.approx(right, rel=1e-3, abs=1e-3)  # it has moved since
        assert on_three[name] == pytest.approx(right, rel=1e-9, abs=1e-9)
        assert on_one[name] == pytest.approx(right, rel=1e-9, abs=1e-9)
