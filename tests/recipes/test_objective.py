"""The sum of losses over the batch and the memory."""

from __future__ import annotations

import math
from statistics import mean
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metricface.classifiers import Softmax
from metricface.losses import CenterLoss, ContrastiveLoss, DeepID2Loss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchAllMiner, BatchHardMiner
from metricface.recipes import Objective
from metricface.recipes.resuming.unregistered import restore_unregistered, unregistered
from metricface.types import Triplets
from tests.oracles.recipes import triplet_terms

MARGIN = 0.7
DIM = 4


def batch(seed: int, ids: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, labels and ids: image i is of identity i // 3."""
    x = torch.randn(len(ids), DIM, generator=torch.Generator().manual_seed(seed)).double()
    number = torch.tensor(ids)
    return x, number // 3, number


def told(x: Tensor, labels: Tensor, ids: Tensor) -> list[tuple[int, int, list[float]]]:
    return list(zip(labels.tolist(), ids.tolist(), x.tolist(), strict=True))


NOW = batch(0, [0, 1, 3, 4, 6, 7])
PAST = batch(1, [1, 2, 4, 8, 7])  # three of the images of the batch among them


def with_past(**given: Any) -> Objective:
    memory = CrossBatchMemory(8, DIM).double()
    memory.push(*PAST)
    return Objective(memory=memory, **given)


class Counting(nn.Module):
    """A classifier that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        self.asked += 1
        return embeddings.sum() * 0 + 1


@pytest.mark.parametrize("miner", [None, BatchAllMiner(float("inf"))])
def test_the_value_is_the_sum_by_hand(miner: Any) -> None:
    """Two losses with weights; the memory's part weighs besides; no image meets itself."""
    losses = [TripletLoss(MARGIN), TripletLoss(2 * MARGIN, reduction="sum"), Counting()]
    objective = with_past(loss=losses, weights=[0.5, 0.01, 3.0], miner=miner, memory_weight=0.25)
    expected = 3.0
    for references, weight in ((NOW, 1.0), (PAST, 0.25)):
        one = triplet_terms(told(*NOW), told(*references), MARGIN)
        other = triplet_terms(told(*NOW), told(*references), 2 * MARGIN)
        assert len(one) > 10
        expected += weight * (0.5 * mean(one) + 0.01 * sum(other))
    assert float(objective(*NOW)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "miner"),
    [
        (pml_losses.ContrastiveLoss(), None),
        (pml_losses.ContrastiveLoss(), pml_miners.BatchHardMiner()),
        (TripletLoss(), pml_miners.BatchHardMiner()),
        (TripletLoss(miner=pml_miners.BatchHardMiner()), None),
    ],
)
def test_what_cannot_be_told_ids_does_not_meet_the_same_images(loss: nn.Module, miner: Any) -> None:
    """The memory is as if it had never seen the images of the batch."""
    memory = CrossBatchMemory(8, DIM).double()
    other = ~torch.isin(PAST[2], NOW[2])
    memory.push(*(part[other] for part in PAST))
    without = Objective(loss, miner=miner, memory=memory)
    objective = with_past(loss=loss, miner=miner)
    found = objective.mine(*NOW)[1]
    assert found.ref_ids is not None
    assert found.ref_ids.tolist() == [2, 8]
    assert float(objective(*NOW)) == float(without(*NOW))


def test_where_ids_can_be_told_only_the_image_itself_is_left_out() -> None:
    found = with_past(loss=TripletLoss(), miner=BatchAllMiner(float("inf"))).mine(*NOW)[1]
    assert found.ref_ids is not None
    assert found.ref_ids.tolist() == PAST[2].tolist()
    assert found.indices is not None
    anchor, positive, negative = found.indices
    assert len(anchor) > 0
    for other in (positive, negative):
        assert not (NOW[2][anchor] == PAST[2][other]).any()


def test_a_miner_that_cannot_be_told_ids_decides_for_a_loss_that_can() -> None:
    found = with_past(loss=TripletLoss(), miner=pml_miners.BatchHardMiner()).mine(*NOW)[1]
    assert found.ref_ids is not None
    assert found.ref_ids.tolist() == [2, 8]


def test_classifiers_are_asked_once() -> None:
    counting = Counting()
    objective = with_past(loss=[counting, TripletLoss()], miner=BatchHardMiner())
    assert len(objective.mine(*NOW)) == 2
    objective(*NOW)
    assert counting.asked == 1


def test_deepid2_identifies_the_batch_alone() -> None:
    """Its verification is of the memory too, with the same λ; all of it by hand."""
    loss = DeepID2Loss(3, DIM, weight=0.3, margin=3.0).double()
    identification = cross_entropy(loss.identification.logits(NOW[0]), NOW[1]).item()
    verification = []
    for references in (NOW, PAST):
        genuine, impostor = [], []
        for label, image, x in told(*NOW):
            for other, past, y in told(*references):
                if label != other:
                    impostor.append(max(0.0, 3.0 - math.dist(x, y)) ** 2 / 2)
                elif image != past:
                    genuine.append(math.dist(x, y) ** 2 / 2)
        verification.append(mean(genuine) + mean(impostor))
    expected = 0.5 * (identification + 0.3 * (verification[0] + 0.25 * verification[1]))
    assert verification[1] > 1
    objective = with_past(loss=loss, weights=[0.5], memory_weight=0.25)
    assert objective(*NOW).item() == pytest.approx(expected, rel=1e-6)


def test_deepid2_with_a_miner_that_cannot_be_told_ids() -> None:
    loss = DeepID2Loss(3, DIM, miner=pml_miners.BatchHardMiner()).double()
    found = with_past(loss=loss).past(NOW[2])[0]
    assert found.ref_ids is not None
    assert found.ref_ids.tolist() == [2, 8]
    assert with_past(loss=loss)(*NOW).isfinite()


def test_center_loss_moves_its_centres_once() -> None:
    loss = CenterLoss(3, DIM).double()
    alone = CenterLoss(3, DIM).double()
    with_past(loss=[loss, ContrastiveLoss()])(*NOW)
    alone(*NOW[:2])
    assert torch.equal(loss.centers, alone.centers)


def test_the_batch_is_remembered_after_it_was_compared() -> None:
    objective = with_past(loss=TripletLoss())
    assert objective.memory is not None
    objective(*NOW)
    stored = objective.memory.reference()
    assert torch.equal(stored[0][-6:], NOW[0])
    assert stored[2].tolist() == [2, 4, 8, 7, *NOW[2].tolist()][-8:]


def test_an_empty_memory_and_one_that_warms_up_are_left_out() -> None:
    for memory in (CrossBatchMemory(8, DIM), CrossBatchMemory(8, DIM, warmup=7)):
        objective = Objective(TripletLoss(), memory=memory)
        memory.push(*batch(2, [0, 1]))
        assert len(objective.mine(*NOW)) == (1 if memory.warmup else 2)


def test_the_memory_carries_no_gradient() -> None:
    objective = with_past(loss=TripletLoss(MARGIN))
    x = NOW[0].clone().requires_grad_()
    objective(x, *NOW[1:]).backward()
    assert objective.memory is not None
    assert not objective.memory.embeddings.requires_grad
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_a_plain_function_is_a_miner_too() -> None:
    def first(embeddings: Tensor, labels: Tensor) -> Triplets:
        assert not embeddings.requires_grad
        return Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))

    x = NOW[0].clone().requires_grad_()
    value = Objective(TripletLoss(9.0), miner=first)(x, *NOW[1:])
    (expected,) = triplet_terms(told(*NOW)[:1], told(*NOW)[:3], 9.0)
    assert value.item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="function cannot mine a memory"):
        with_past(loss=TripletLoss(), miner=first)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"loss": []}, ValueError, "there is no loss to train with"),
        ({"loss": [max]}, TypeError, "a loss must be a module, got builtin_function"),
        (
            {"loss": TripletLoss(), "weights": [1.0, 2.0]},
            ValueError,
            "1 losses came with 2 weights",
        ),
        ({"loss": TripletLoss(), "weights": 0.5}, TypeError, "weights must be numbers.*, got 0.5"),
        *(
            ({"loss": [TripletLoss(), TripletLoss()], "weights": [0.0, wrong]}, error, message)
            for wrong, error, message in (
                ("1", TypeError, r"weights\[1\] must be a number, got the string '1'"),
                (-1, ValueError, r"weights\[1\] must be 0 or above and finite, got -1.0"),
                (float("nan"), ValueError, r"weights\[1\] must be 0 or above and finite, got nan"),
            )
        ),
        (
            {"loss": TripletLoss(), "memory_weight": -1},
            ValueError,
            "memory_weight must be 0 or above and finite, got -1",
        ),
        (
            {"loss": Softmax(3, DIM), "miner": BatchHardMiner()},
            ValueError,
            "Softmax cannot use what a miner picks",
        ),
        (
            {"loss": [Softmax(3, DIM), CenterLoss(3, DIM)], "memory": CrossBatchMemory(2, DIM)},
            ValueError,
            "Softmax and CenterLoss cannot compare with a memory",
        ),
    ],
)
def test_contradictions_are_refused(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Objective(**given)


class TestUnregistered:
    """State of foreign modules beside ``state_dict``."""

    def queue(self) -> Any:
        loss = pml_losses.CrossBatchMemory(pml_losses.ContrastiveLoss(), DIM, memory_size=6)
        return loss.double()

    def test_a_queue_goes_on_where_it_was(self) -> None:
        one, other = self.queue(), self.queue()
        one(*batch(3, [0, 1, 3, 4])[:2])
        one(*batch(4, [0, 2, 5, 4])[:2])
        other.load_state_dict(one.state_dict())
        restore_unregistered(other, unregistered(one))
        assert (other.queue_idx, other.has_been_filled) == (2, True)
        assert torch.equal(one(*NOW[:2]), other(*NOW[:2]))

    def test_tensors_are_kept_without_gradient(self) -> None:
        loss = pml_losses.DynamicSoftMarginLoss()
        loss(NOW[0].clone().requires_grad_(), NOW[1])
        assert loss.hist_.requires_grad
        assert not unregistered(loss)[""]["hist_"].requires_grad

    def test_modules_of_this_library_keep_all_in_state_dict(self) -> None:
        objective = with_past(loss=[Softmax(3, DIM), TripletLoss()], miner=BatchHardMiner())
        assert unregistered(objective) == {}
        assert "_extra_state" in objective.state_dict()
