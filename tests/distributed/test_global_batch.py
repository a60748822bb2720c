"""A training on several processes is the training on one with the whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from metricface.losses import TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import SemiHardMiner
from metricface.recipes import GlobalBatchLoss
from tests.distributed.memory_steps import HALF, MEMORIES, ROWS, SIZE, remembering, taken
from tests.layouts import draw_rows
from tests.processes import run


@pytest.fixture(scope="module", params=[2, 3])
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each of two or three processes found, from what one left them and with what it found."""
    folder = tmp_path_factory.mktemp("losses")
    one: dict[str, Any] = {}
    for name in MEMORIES:
        loss = remembering()
        one[name] = taken(loss, range(HALF), ids=name == "ids")
        torch.save(loss.state_dict(), folder / f"one, {name}.pt")
        one[name] += taken(loss, range(HALF, len(ROWS)), ids=name == "ids")
    every = run("tests.distributed.losses_program", folder, request.param)
    for name in MEMORIES:
        loss = remembering()
        loss.load_state_dict(torch.load(folder / f"together, {name}.pt"))
        one[f"{name}, restored"] = taken(loss, range(HALF, len(ROWS)), ids=name == "ids")
    return [{**own, "one": one} for own in every]


@pytest.mark.parametrize(("dtype", "bound"), [("double", 1e-12), ("single", 1e-6)])
def test_value_and_gradient_are_those_of_one_process(said: Any, dtype: str, bound: float) -> None:
    errors: dict[str, list[float]] = said[0][dtype]
    assert len(errors) > 70
    assert {name: both for name, both in errors.items() if not max(both) <= bound} == {}


def test_everything_is_equal_on_all_ranks(said: Any) -> None:
    assert len(said[0]["values"]) > 500
    assert all(own["values"] == said[0]["values"] for own in said)


def test_every_rank_hears_what_only_one_can_see(said: Any) -> None:
    heard = {sentence for own in said for sentence in own["heard"]}
    assert len(heard) == 1
    world = len(said)
    assert f"rank {world - 1} of {world}: ValueError" in heard.pop()


def test_names_are_as_good_as_numbers(said: Any) -> None:
    for own in said:
        value, expected = own["strings"]
        assert value == pytest.approx(expected, rel=1e-12)
        assert value > 0


def test_centres_are_those_of_one_process_to_the_bit(said: Any) -> None:
    first = said[0]["centres"]
    assert any(any(centre) for centre in first["together"])
    for own in said:
        assert own["centres"]["together"] == first["together"] == first["one"]
    # which they are not where each process shows them its own rows
    apart = [torch.tensor(own["centres"]["own rows only"]) for own in said]
    assert (apart[0] - apart[-1]).norm() > 0.1 * apart[0].norm()


@pytest.mark.parametrize("name", [*MEMORIES, *(f"{name}, restored" for name in MEMORIES)])
def test_a_memory_is_that_of_one_process_whoever_began_it(said: Any, name: str) -> None:
    values = 0.0
    for own in said:
        for ours, right in zip(own["remembered"][name], own["one"][name], strict=True):
            value, *state = ours
            assert value == pytest.approx(right.value, rel=1e-12, abs=1e-12)
            assert state == [*right[1:]]
            values += value
    assert values > 0


def test_the_ids_that_a_memory_invents_are_used_once(said: Any) -> None:
    for own in said:
        ids = [number for *_, known, pushed in own["remembered"]["no ids"] for number in known]
        assert min(ids) == -sum(ROWS)
        *_, last, pushed = own["remembered"]["no ids"][-1]
        assert pushed == sum(ROWS)
        assert sorted(last) == [*range(-pushed, -pushed + SIZE)]


def test_an_image_met_on_another_rank_later_is_not_its_own_positive(said: Any) -> None:
    for own in said:
        assert own["met again"]["same image"] == 0
        assert own["met again"]["another"] == own["met again"]["no ids"] > 0


def test_a_step_that_fails_on_one_rank_leaves_every_memory_as_it_was(said: Any) -> None:
    assert all(own["unharmed"] for own in said)


X, LABELS = draw_rows(8, 4, 0), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


def test_without_a_process_group_it_is_the_loss_itself() -> None:
    x = X.clone().requires_grad_()
    ours = GlobalBatchLoss(TripletLoss(), SemiHardMiner())(x, LABELS)
    plain = TripletLoss(miner=SemiHardMiner())(x, LABELS)
    assert ours == plain > 0
    assert torch.equal(gradient(ours, x), gradient(plain, x))


def gradient(value: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(value, x)[0]


def test_the_state_is_that_of_its_parts() -> None:
    def make() -> GlobalBatchLoss:
        miner = SemiHardMiner(negative="random", bounded=False)
        return GlobalBatchLoss(TripletLoss(), miner, CrossBatchMemory(16, 4))

    loss, other = make(), make()
    for _ in range(3):
        loss(X, LABELS, torch.arange(8))
    other.load_state_dict(loss.state_dict())
    assert loss(X, LABELS, torch.arange(8)) == other(X, LABELS, torch.arange(8))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no one number"):
        GlobalBatchLoss(TripletLoss(reduction="none"))
    with pytest.raises(TypeError, match="strings"):
        GlobalBatchLoss(TripletLoss(), None, CrossBatchMemory(16, 4))(X, list("aabbccdd"))
    with pytest.raises(TypeError, match="must be a module, got list"):
        GlobalBatchLoss([TripletLoss()])  # type: ignore[arg-type]
