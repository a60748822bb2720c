"""A whole training step under torch.compile: model, miner, loss, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend

from metricface.classifiers import Classifier
from metricface.losses import EmbeddingLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner, SemiHardMiner
from tests.cases import CLASSIFIERS, LOSSES, MINERS
from tests.layouts import draw_rows

# What torch.compile itself does with tensors and functions that it takes apart.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
LABELS = torch.arange(12) // 3

Step = Callable[[nn.Module, Tensor], Tensor]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)).double()


def gradients(step: Step) -> list[Tensor]:
    network, x = model(), draw_rows(12, 4, 0)
    value = step(network, x)
    return [value.detach(), *torch.autograd.grad(value, list(network.parameters()))]


def check_compiled(make: Callable[[], Step], breaks: int) -> None:
    """The same numbers as uncompiled, in no more pieces than so many breaks make."""
    pieces = []

    def backend(graph: Any, inputs: Any) -> Any:
        """It traces as the default does, but leaves out the minutes of compiling it."""
        pieces.append(graph)
        return lookup_backend("aot_eager")(graph, inputs)

    torch._dynamo.reset()
    compiled = torch.compile(make(), backend=backend)
    torch.testing.assert_close(gradients(compiled), gradients(make()))
    assert 1 <= len(pieces) <= 1 + breaks


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_a_loss_over_everything_is_one_break(make: Callable[..., EmbeddingLoss]) -> None:
    def whole() -> Step:
        loss = make()
        return lambda network, x: loss(network(x), LABELS)

    check_compiled(whole, 1)


@pytest.mark.parametrize("make", MINERS.values(), ids=MINERS)
def test_a_miner_and_its_loss_are_a_break_each(make: Callable[..., Any]) -> None:
    def mined() -> Step:
        miner, loss = make(), TripletLoss()

        def step(network: nn.Module, x: Tensor) -> Tensor:
            embeddings = network(x)
            value: Tensor = loss(embeddings, LABELS, miner(embeddings.detach(), LABELS))
            return value

        return step

    check_compiled(mined, 2)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_is_compiled_with_the_model(name: str) -> None:
    def classified() -> Step:
        torch.manual_seed(1)
        head: Classifier = CLASSIFIERS[name](4, 4).double()
        return lambda network, x: head(network(x), LABELS)

    # Which classes a batch has decides how many centroids it makes.
    check_compiled(classified, 2 if name == "COCO, batch centroids" else 0)


def test_a_memory_is_a_break_where_it_is_read_and_where_it_is_filled() -> None:
    def remembered() -> Step:
        memory, miner, loss = CrossBatchMemory(32, 4), BatchHardMiner(), TripletLoss()
        memory.push(draw_rows(12, 4, 1), LABELS, torch.arange(12))

        def step(network: nn.Module, x: Tensor) -> Tensor:
            embeddings, ids = network(x), torch.arange(12, 24)
            others, labels, known = memory.reference()
            mined = miner(embeddings.detach(), LABELS, others, labels, ids=ids, ref_ids=known)
            value: Tensor = loss(embeddings, LABELS, mined, others, labels)
            memory.push(embeddings.detach(), LABELS, ids)
            return value

        return step

    check_compiled(remembered, 4)


@pytest.mark.parametrize("miner", [None, SemiHardMiner(0.5)], ids=["all triplets", "mined"])
def test_the_default_compiler_gives_the_same_numbers(miner: SemiHardMiner | None) -> None:
    loss = TripletLoss(miner=miner)

    def step(network: nn.Module, x: Tensor) -> Tensor:
        value: Tensor = loss(network(x), LABELS)
        return value

    torch._dynamo.reset()
    torch.testing.assert_close(gradients(torch.compile(step)), gradients(step))
