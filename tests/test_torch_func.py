"""Other ways to differentiate: torch.func, where ``vmap`` is refused by name, and twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricface.losses import ContrastiveLoss, TripletLoss
from metricface.types import Triplets
from tests.cases import CLASSIFIERS, LOSSES, MINERS, OTHER_LOSSES
from tests.layouts import draw_rows

X, LABELS = draw_rows(12, 4, 0), torch.arange(12) // 3
Make = Callable[[], nn.Module]


class Mined(nn.Module):
    """A loss of what a miner picks."""

    def __init__(self, miner: nn.Module) -> None:
        super().__init__()
        self.miner = miner
        self.loss = TripletLoss() if getattr(miner, "kind", None) is Triplets else ContrastiveLoss()

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = self.loss(embeddings, labels, self.miner(embeddings, labels))
        return value


#: Losses in one block and in twelve, classifiers for four classes, and a loss after every miner.
EVERY: dict[str, Make] = {
    **LOSSES,
    **OTHER_LOSSES,
    **{f"{name}, in blocks": partial(make, block_bytes=1) for name, make in LOSSES.items()},
    **{name: partial(make, 4, 4) for name, make in CLASSIFIERS.items()},
    **{
        f"mined, {name}": lambda make=make: Mined(make())  # type: ignore[misc]
        for name, make in MINERS.items()
    },
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


def made(make: Make) -> nn.Module:
    torch.manual_seed(0)
    return make().double()


@every
def test_func_grad_is_the_gradient_of_backward(make: Make) -> None:
    """Of embeddings and of all that is learned; and what is remembered is the same."""
    module, expected = made(make), made(make)
    trained = {name: each for name, each in expected.named_parameters() if each.requires_grad}
    learned = {name: each.detach().clone() for name, each in trained.items()}

    def value(x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        result: Tensor = torch.func.functional_call(module, parameters, (x, LABELS))
        return result

    of_x, of_learned = torch.func.grad(value, argnums=(0, 1))(X, learned)
    x = X.clone().requires_grad_()
    expected(x, LABELS).backward()
    torch.testing.assert_close(of_x, x.grad)
    for name, each in trained.items():
        wanted = torch.zeros_like(each) if each.grad is None else each.grad
        torch.testing.assert_close(of_learned[name], wanted)
    state, buffers = expected.state_dict(), module.state_dict()
    for name, each in state.items():
        torch.testing.assert_close(buffers[name], each, equal_nan=True)


@every
def test_vmap_is_refused_by_name(make: Make) -> None:
    module = made(make)

    def value(x: Tensor) -> Any:
        return module(x, LABELS)

    for mapped in (value, torch.func.grad(value)):
        with pytest.raises(TypeError, match=r"torch\.func\.vmap, which is not supported"):
            torch.func.vmap(mapped)(torch.stack([X, X]))


@every
def test_a_second_derivative_is_right_or_an_error(make: Make) -> None:
    """Never 0 in silence, beside other losses whose own is right."""
    direction = draw_rows(12, 4, 1)

    def slope(at: Tensor) -> Tensor:
        x = at.clone().requires_grad_()
        return torch.autograd.grad(made(make)(x, LABELS), x)[0]

    x = X.clone().requires_grad_()
    total = made(make)(x, LABELS) + (x**3).sum()
    try:
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    except RuntimeError as error:
        said = str(error)
    else:
        (twice,) = torch.autograd.grad((gradient * direction).sum(), x)
        step = 1e-6 * direction
        numeric = (slope(X + step) - slope(X - step)) / 2e-6 + 6 * X * direction
        torch.testing.assert_close(twice, numeric, rtol=1e-5, atol=1e-5)
        return
    assert "create_graph=True asks for second derivatives" in said
