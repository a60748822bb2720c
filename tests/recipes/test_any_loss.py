"""Every loss, classifier and miner trains: of this library and of pytorch-metric-learning."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import reducers as pml_reducers
from torch import nn

from metricface.losses import CenterLoss, DeepID2Loss, TripletLoss, VerificationSignal
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner, DistanceWeightedMiner
from metricface.recipes import Objective
from tests.cases import CLASSIFIERS, LOSSES, MINERS
from tests.recipes.toys import DIM, IDENTITIES, differences, network, sampler, train

with_classes = {"num_classes": IDENTITIES, "embedding_size": DIM}

#: All losses of pytorch-metric-learning that look at pairs and triplets, and at references.
THEIR_PAIRS: dict[str, Callable[[], Any]] = {
    name: getattr(pml_losses, name)
    for name in (
        "AngularLoss",
        "CircleLoss",
        "ContrastiveLoss",
        "GeneralizedLiftedStructureLoss",
        "IntraPairVarianceLoss",
        "LiftedStructureLoss",
        "MarginLoss",
        "MultiSimilarityLoss",
        "NCALoss",
        "NTXentLoss",
        "SignalToNoiseRatioContrastiveLoss",
        "SupConLoss",
        "ThresholdConsistentMarginLoss",
        "TripletMarginLoss",
        "TupletMarginLoss",
    )
} | {"MarginLoss, learned": partial(pml_losses.MarginLoss, learn_beta=True, nu=0.1)}

#: Those with weights for classes, which compare with nothing else.
THEIR_CLASSIFIERS = {
    name: partial(getattr(pml_losses, name), **with_classes)
    for name in (
        "ArcFaceLoss",
        "CosFaceLoss",
        "LargeMarginSoftmaxLoss",
        "NormalizedSoftmaxLoss",
        "ProxyAnchorLoss",
        "ProxyNCALoss",
        "SoftTripleLoss",
        "SphereFaceLoss",
        "SubCenterArcFaceLoss",
    )
}

#: Those that look at the batch alone, in ways of their own.
THEIR_OTHERS: dict[str, Callable[[], Any]] = {
    "FastAPLoss": pml_losses.FastAPLoss,
    "HistogramLoss": partial(pml_losses.HistogramLoss, n_bins=20),
    "InstanceLoss": pml_losses.InstanceLoss,
    "NPairsLoss": pml_losses.NPairsLoss,
    "P2SGradLoss": partial(pml_losses.P2SGradLoss, descriptors_dim=DIM, num_classes=IDENTITIES),
    "PNPLoss": pml_losses.PNPLoss,
    "RankedListLoss": partial(pml_losses.RankedListLoss, margin=0.5, Tn=1),
    "SmoothAPLoss": pml_losses.SmoothAPLoss,
    "CrossBatchMemory": partial(
        pml_losses.CrossBatchMemory, pml_losses.ContrastiveLoss(), DIM, memory_size=40
    ),
    "MultipleLosses": lambda: pml_losses.MultipleLosses(
        [pml_losses.ContrastiveLoss(), pml_losses.TripletMarginLoss()], weights=[1, 0.5]
    ),
}
#: This one takes references, and then counts their indices in the batch: an error of theirs.
REMEMBERING = {n: make for n, make in THEIR_PAIRS.items() if n != "ThresholdConsistentMarginLoss"}
THEIR_LOSSES = THEIR_PAIRS | THEIR_CLASSIFIERS | THEIR_OTHERS

#: Nothing to train with here: abstract, without labels, or, of one, broken.
NOT_LOSSES = {
    "BaseLossWrapper",
    "BaseMetricLossFunction",
    "DynamicSoftMarginLoss",  # in any loop its second backward pass fails, see below
    "EmbeddingRegularizerMixin",
    "GenericPairLoss",
    "ManifoldLoss",
    "SelfSupervisedLoss",
    "VICRegLoss",
    "WeightRegularizerMixin",
}

THEIR_MINERS: dict[str, Callable[[], Any]] = {
    "AngularMiner": pml_miners.AngularMiner,
    "BatchEasyHardMiner": pml_miners.BatchEasyHardMiner,
    "BatchHardMiner": pml_miners.BatchHardMiner,
    "DistanceWeightedMiner": pml_miners.DistanceWeightedMiner,
    "HDCMiner": pml_miners.HDCMiner,
    "MultiSimilarityMiner": pml_miners.MultiSimilarityMiner,
    "PairMarginMiner": pml_miners.PairMarginMiner,
    "TripletMarginMiner": pml_miners.TripletMarginMiner,
    "UniformHistogramMiner": pml_miners.UniformHistogramMiner,
}


pytestmark = [  # of what they call
    pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning"),
]


def moved(model: nn.Module) -> bool:
    """Whether a model has gone from where it began, to where numbers are finite."""
    finite = all(bool(each.isfinite().all()) for each in model.parameters())
    return finite and differences(model.state_dict(), network().state_dict()) != []


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("memory", [None, 30])
def test_our_losses(make: Callable[[], Any], memory: int | None) -> None:
    past = None if memory is None else CrossBatchMemory(memory, DIM)
    assert moved(train(make(), memory=past).model)


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_our_classifiers_train_with_the_model(make: Callable[..., Any]) -> None:
    classifier = make(IDENTITIES, DIM)
    before = classifier.weight.detach().clone()
    assert moved(train(classifier).model)
    assert not torch.equal(classifier.weight, before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [CLASSIFIERS["softmax"](IDENTITIES, DIM), CenterLoss(IDENTITIES, DIM)],
        lambda: DeepID2Loss(IDENTITIES, DIM),
        lambda: VerificationSignal("cosine"),
    ],
)
def test_our_losses_of_other_kinds(make: Callable[[], Any]) -> None:
    assert moved(train(make()).model)


@pytest.mark.parametrize("make", MINERS.values(), ids=MINERS)
def test_our_miners_of_batch_and_memory(make: Callable[[], Any]) -> None:
    past = CrossBatchMemory(30, DIM)
    assert moved(train(TripletLoss("soft"), miner=make(), memory=past).model)


def test_the_list_of_their_losses_is_complete() -> None:
    listed = {name.split(",")[0] for name in THEIR_LOSSES} | NOT_LOSSES
    theirs = {name for name, kind in vars(pml_losses).items() if inspect.isclass(kind)}
    assert theirs == listed


def test_the_list_of_their_miners_is_complete() -> None:
    theirs = {name for name, kind in vars(pml_miners).items() if inspect.isclass(kind)}
    assert theirs - set(THEIR_MINERS) == {"BaseMiner", "EmbeddingsAlreadyPackagedAsTriplets"}


@pytest.mark.parametrize("make", THEIR_LOSSES.values(), ids=THEIR_LOSSES)
def test_their_losses(make: Callable[[], Any]) -> None:
    assert moved(train(make()).model)


@pytest.mark.parametrize("make", REMEMBERING.values(), ids=REMEMBERING)
@pytest.mark.parametrize("miner", [DistanceWeightedMiner, pml_miners.MultiSimilarityMiner, None])
def test_their_losses_with_miners_and_our_memory(
    make: Callable[[], Any], miner: Callable[[], Any] | None
) -> None:
    """Three steps, each with all identities, for the memory to be of use in two."""
    loss, past = make(), CrossBatchMemory(30, DIM)
    mined = None if miner is None else miner()
    done = train(loss, steps=3, miner=mined, memory=past, sampler=sampler(10, 2))
    assert moved(done.model)


@pytest.mark.parametrize("make", THEIR_MINERS.values(), ids=THEIR_MINERS)
@pytest.mark.parametrize("loss", [TripletLoss, pml_losses.TripletMarginLoss])
def test_their_miners(make: Callable[[], Any], loss: Callable[[], Any]) -> None:
    past = CrossBatchMemory(30, DIM)
    assert moved(train(loss(), miner=make(), memory=past).model)


@pytest.mark.parametrize("make", THEIR_CLASSIFIERS.values(), ids=THEIR_CLASSIFIERS)
def test_their_classifiers_beside_a_pair_loss(make: Callable[[], Any]) -> None:
    """They have no use for a memory, and what they would refuse is not offered to them."""
    losses = [make(), pml_losses.ContrastiveLoss()]
    past, miner = CrossBatchMemory(30, DIM), BatchHardMiner()
    assert moved(train(losses, steps=3, miner=miner, memory=past).model)
    with pytest.raises(ValueError, match="Loss cannot compare with a memory"):
        Objective(make(), memory=past)


@pytest.mark.parametrize("name", ["FastAPLoss", "NPairsLoss", "SmoothAPLoss"])
def test_their_losses_that_refuse_references_are_not_offered_any(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot compare with a memory"):
        Objective(THEIR_OTHERS[name](), memory=CrossBatchMemory(30, DIM))


@pytest.mark.parametrize("name", ["InstanceLoss", "PNPLoss", "RankedListLoss"])
def test_their_losses_that_refuse_indices_are_not_offered_any(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot use what a miner picks"):
        Objective(THEIR_OTHERS[name](), miner=BatchHardMiner())
    losses = [THEIR_OTHERS[name](), TripletLoss()]
    assert moved(train(losses, miner=BatchHardMiner()).model)


@pytest.mark.parametrize(
    "loss",
    [
        pml_losses.SelfSupervisedLoss(pml_losses.NTXentLoss()),
        pml_losses.VICRegLoss(),
        pml_losses.ManifoldLoss(DIM),
    ],
)
def test_losses_without_labels_are_refused(loss: nn.Module) -> None:
    with pytest.raises(TypeError, match="Loss takes no labels"):
        Objective(loss)


def test_a_loss_that_gives_several_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must give one number to train on, got shape \[\d+\]"):
        train(TripletLoss(reduction="none"))
    theirs = pml_losses.TripletMarginLoss(reducer=pml_reducers.DoNothingReducer())
    with pytest.raises(TypeError, match=r"TripletMarginLoss must give one number .*, got dict"):
        train(theirs)


def test_a_loss_that_mines_inside_with_their_miner() -> None:
    loss = TripletLoss(miner=pml_miners.BatchHardMiner())
    assert moved(train(loss, memory=CrossBatchMemory(30, DIM)).model)


def test_dynamic_soft_margin_fails_in_any_loop() -> None:
    """If this fails, their loss has been mended: move it to the list of those that train."""
    loss, model = pml_losses.DynamicSoftMarginLoss(), nn.Linear(4, 4)
    x, labels = torch.rand(8, 4), torch.arange(8) // 2
    loss(model(x), labels).backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss(model(x), labels).backward()
