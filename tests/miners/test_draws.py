"""A miner that draws, and what else may run between two draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from metricface.losses import ContrastiveLoss, EmbeddingLoss, TripletLoss
from metricface.types import Triplets
from tests.cases import FIXED_MINERS, RANDOM_MINERS, AnyMiner
from tests.layouts import draw_rows

Make = Callable[..., AnyMiner]
random_miners = pytest.mark.parametrize("make", RANDOM_MINERS.values(), ids=RANDOM_MINERS)
fixed_miners = pytest.mark.parametrize("make", FIXED_MINERS.values(), ids=FIXED_MINERS)
both_ways = pytest.mark.parametrize("reentrant", [True, False])

X, LABELS = draw_rows(12, 4, 0), torch.arange(12) // 3


def loss_for(miner: AnyMiner) -> EmbeddingLoss:
    return TripletLoss() if miner.kind is Triplets else ContrastiveLoss()


def gradient(miner: AnyMiner, around: str, *, reentrant: bool = False) -> Tensor:
    """The gradient of a network and a loss, with none, one or both of them under a checkpoint."""
    torch.manual_seed(0)
    network, loss = torch.nn.Linear(4, 4).double(), loss_for(miner)
    x = X.clone().requires_grad_()  # a reentrant checkpoint wants an input with a gradient

    def value(embeddings: Tensor) -> Tensor:
        result: Tensor = loss(embeddings, LABELS, miner(embeddings, LABELS))
        return result

    if around == "both":
        total = checkpoint(lambda x: value(network(x)), x, use_reentrant=reentrant)
    elif around == "network":
        total = value(checkpoint(network, x, use_reentrant=reentrant))
    else:
        total = value(network(x))
    total.backward()
    slope: Tensor | None = network.weight.grad
    assert slope is not None
    return slope


@both_ways
@random_miners
def test_a_draw_that_is_computed_again_is_refused(make: Make, reentrant: bool) -> None:
    miner = make(seed=3)
    with pytest.raises(RuntimeError, match="call the miner outside of what is checkpointed"):
        gradient(miner, "both", reentrant=reentrant)
    expected = make(seed=3)
    expected(X, LABELS)
    state, wanted = miner.state_dict(), expected.state_dict()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)  # one draw, not two


@both_ways
@random_miners
def test_a_miner_outside_of_the_checkpoint_draws_as_without_one(
    make: Make, reentrant: bool
) -> None:
    torch.testing.assert_close(
        gradient(make(seed=3), "network", reentrant=reentrant), gradient(make(seed=3), "nothing")
    )


@both_ways
@fixed_miners
def test_a_miner_that_draws_nothing_may_be_computed_again(make: Make, reentrant: bool) -> None:
    miner, expected = make(), make()
    once, again = gradient(expected, "nothing"), gradient(miner, "both", reentrant=reentrant)
    torch.testing.assert_close(again, once)
    state, wanted = miner.state_dict(), expected.state_dict()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)


@fixed_miners
def test_a_miner_that_draws_nothing_as_it_is_set_keeps_its_place(make: Make) -> None:
    miner = make()
    before = miner.state_dict()
    miner(X, LABELS)
    after = miner.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_no_seed_is_refused() -> None:
    """Or else a miner would draw the same in every call."""
    for make in RANDOM_MINERS.values():
        with pytest.raises(TypeError, match="seed must be an integer, got None"):
            make(seed=None)
