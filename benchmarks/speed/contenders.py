"""What the speed benchmark times: each part of ours, and the incumbent's of the same name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from torch import Tensor

from benchmarks.peers import oml
from metricface import losses, miners
from metricface.distances import Euclidean

Part: TypeAlias = Callable[[Tensor, Tensor], object]


@dataclass(frozen=True)
class Contender:
    """One line of the benchmark.

    Attributes:
        name: of the method.
        ours: makes it, given whether to compile.
        compiles: whether it has a compiled form.
        theirs: pytorch-metric-learning's, or None.
        their_bytes: memory theirs needs at least, from batch size N and images per identity K.
        is_loss: timed forward and backward.
        their_largest: rows of a batch beyond which theirs is no comparison any more, and takes
            minutes.
    """

    name: str
    ours: Callable[[bool], Any]
    compiles: bool
    theirs: Callable[[], Any] | None = None
    their_bytes: Callable[[int, int], float] = lambda n, k: 0.0
    is_loss: bool = False
    their_largest: int = 2048


def all_triplets_bytes(n: int, k: int) -> float:
    """What listing all T = N(K−1)(N−K) triplets takes pytorch-metric-learning.

    Three int64 indices for each, 24T; and, while N³ < 2³¹, a mask of N³ bytes. Beyond that it
    lists them anchor by anchor, and joins the lists in another 24T.

    Example:
        >>> round(all_triplets_bytes(1800, 40) / 2**30, 1)
        5.5
    """
    triplets = float(n) * (k - 1) * (n - k)
    return n**3 + 24 * triplets if n**3 < 2**31 else 48 * triplets


def _their_semi_hard() -> Any:
    squared = pml_distances.LpDistance(power=2)
    return pml_miners.TripletMarginMiner(0.2, distance=squared, type_of_triplets="semihard")


def matrices_bytes(n: int, k: int) -> float:
    """A dozen float32 matrices of N×N, forward and backward."""
    return 12 * 4 * float(n) ** 2


def pair_lists_bytes(n: int, k: int) -> float:
    """Two int64 indices of each of N² pairs, twice, and float32 of the same length."""
    return (4 * 8 + 6 * 4) * float(n) ** 2


def positives_by_negatives_bytes(n: int, k: int) -> float:
    """Four float32 tables of N(K−1) positive pairs by N(N−K) negative ones."""
    return 4 * 4 * float(n) * (k - 1) * n * (n - k)


def cubes_bytes(n: int, k: int) -> float:
    """Four float32 tables of N³."""
    return 4 * 4 * float(n) ** 3


ALL_TRIPLETS = Contender(
    "all-triplets loss",
    lambda _: losses.BatchAllTripletLoss(0.05, Euclidean()),
    False,
    lambda: pml_losses.TripletMarginLoss(0.05),
    all_triplets_bytes,
    is_loss=True,
)

CONTENDERS = (
    Contender(
        "batch-hard",
        lambda compiled: miners.BatchHardMiner(compiled=compiled),
        True,
        pml_miners.BatchHardMiner,
    ),
    Contender(
        "semi-hard",
        lambda compiled: miners.SemiHardMiner(compiled=compiled),
        True,
        _their_semi_hard,
        all_triplets_bytes,
    ),
    Contender(
        "semi-hard, random",
        lambda compiled: miners.SemiHardMiner(negative="random", compiled=compiled),
        True,
    ),
    Contender(
        "distance-weighted",
        lambda compiled: miners.DistanceWeightedMiner(compiled=compiled),
        True,
        pml_miners.DistanceWeightedMiner,
    ),
    Contender(
        "easy positive",
        lambda compiled: miners.EasyPositiveMiner(compiled=compiled),
        True,
        lambda: pml_miners.BatchEasyHardMiner("easy", "semihard"),
    ),
    Contender(
        "multi-similarity",
        lambda _: miners.MultiSimilarityMiner(),
        False,
        pml_miners.MultiSimilarityMiner,
    ),
    Contender("ranked", lambda _: miners.RankedMiner((0, 2), (0, 2)), False),
    Contender("random", lambda _: miners.RandomMiner(), False),
    Contender(
        "batch-all, ten each",
        lambda _: miners.BatchAllMiner(0.2, per_anchor=10),
        False,
        lambda: pml_miners.TripletMarginMiner(0.2, distance=pml_distances.LpDistance(power=2)),
        all_triplets_bytes,
    ),
    ALL_TRIPLETS,
)


def _whole(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any] | None = None,
    their_bytes: Callable[[int, int], float] = matrices_bytes,
) -> Contender:
    """A loss over the whole batch."""
    return Contender(
        name, lambda _: ours(), False, theirs, their_bytes, is_loss=True, their_largest=8192
    )


LOSSES = (
    ALL_TRIPLETS,
    _whole("contrastive", losses.ContrastiveLoss, pml_losses.ContrastiveLoss, pair_lists_bytes),
    _whole("margin", losses.MarginLoss, pml_losses.MarginLoss, all_triplets_bytes),
    _whole("SupCon", losses.SupConLoss, pml_losses.SupConLoss),
    _whole("InfoNCE", losses.InfoNCELoss, pml_losses.NTXentLoss, positives_by_negatives_bytes),
    _whole("multi-similarity", losses.MultiSimilarityLoss, pml_losses.MultiSimilarityLoss),
    _whole("circle", losses.CircleLoss, pml_losses.CircleLoss),
    _whole(
        "lifted structure", losses.LiftedStructureLoss, pml_losses.GeneralizedLiftedStructureLoss
    ),
    _whole("NCA", losses.NCALoss, pml_losses.NCALoss),
    _whole("sigmoid pairs", losses.SigmoidPairLoss),
    _whole("smooth AP", losses.SmoothAPLoss, pml_losses.SmoothAPLoss, cubes_bytes),
)


def runnable(part: Any, embeddings: Tensor, labels: Tensor, *, is_loss: bool) -> Part:
    """A call of a miner, or of a loss forward and backward, on this batch.

    Args:
        part: the miner or loss.
        embeddings: ``[N, D]``.
        labels: ``[N]``.
        is_loss: whether there is a backward pass.
    """
    if not is_loss:
        return lambda *_: part(embeddings, labels)
    leaf = embeddings.clone().requires_grad_()
    return lambda *_: torch.autograd.grad(part(leaf, labels), leaf)


def open_metric_learning() -> tuple[Part | None, str]:
    """open-metric-learning's batch-hard miner, or why it is not timed."""
    return oml.batch_hard()
