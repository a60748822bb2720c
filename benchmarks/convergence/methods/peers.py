"""pytorch-metric-learning's own miners and losses in the same loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.convergence.methods.method import (
    CONTRASTIVE_MARGINS,
    HINGE_MARGINS,
    PROXY_LEARNING_RATES,
    SCALES,
    Method,
    Miner,
    Setup,
    Values,
    trained_on,
)
from benchmarks.peers import pml


def _peer(
    name: str,
    rule: str,
    make: Callable[[Setup, Values], tuple[Any, Any]],
    **space: tuple[float, ...],
) -> Method:
    def ask(setup: Setup, values: Values) -> tuple[Any, Miner | None]:
        miner, loss = make(setup, values)
        return loss, miner

    return Method(f"pml-{name}", "peer", f"pytorch-metric-learning: {rule}", trained_on(ask), space)


PEERS = [
    _peer(
        "semi-hard",
        "TripletMarginMiner(semihard), TripletMarginLoss",
        lambda setup, v: pml.semi_hard(v["margin"]),
        margin=HINGE_MARGINS,
    ),
    _peer(
        "batch-hard",
        "BatchHardMiner, TripletMarginLoss",
        lambda setup, v: pml.batch_hard(v["margin"]),
        margin=HINGE_MARGINS,
    ),
    _peer(
        "batch-hard-soft",
        "BatchHardMiner, TripletMarginLoss(smooth_loss=True)",
        lambda setup, v: pml.batch_hard_soft(),
    ),
    _peer(
        "contrastive",
        "ContrastiveLoss over all pairs",
        lambda setup, v: pml.contrastive(0.0, v["margin"]),
        margin=CONTRASTIVE_MARGINS,
    ),
    _peer(
        "multi-similarity",
        "MultiSimilarityMiner(0.1), MultiSimilarityLoss",
        lambda setup, v: pml.multi_similarity(0.1, base=v["base"]),
        base=(0.5, 0.3, 0.7),
    ),
    _peer(
        "distance-weighted",
        "DistanceWeightedMiner, MarginLoss with a learnt boundary",
        lambda setup, v: pml.distance_weighted(v["margin"]),
        margin=HINGE_MARGINS,
        loss_lr=(1e-2, 1e-3),
    ),
    _peer(
        "supcon",
        "SupConLoss",
        lambda setup, v: pml.supcon(v["temperature"]),
        temperature=(0.1, 0.05, 0.2),
    ),
    _peer(
        "circle",
        "CircleLoss",
        lambda setup, v: pml.circle(v["m"], v["gamma"]),
        m=(0.4, 0.25),
        gamma=(80.0, 256.0),
    ),
    _peer(
        "proxy-anchor",
        "ProxyAnchorLoss",
        lambda setup, v: pml.proxy_anchor(setup.classes, setup.dim, v["margin"]),
        margin=(0.1, 0.2),
        loss_lr=PROXY_LEARNING_RATES,
    ),
    _peer(
        "cosface",
        "CosFaceLoss",
        lambda setup, v: pml.cosface(setup.classes, setup.dim, v["scale"], v["margin"]),
        scale=SCALES,
        margin=(0.35, 0.2),
    ),
    _peer(
        "arcface",
        "ArcFaceLoss",
        lambda setup, v: pml.arcface(setup.classes, setup.dim, v["scale"], v["margin"]),
        scale=SCALES,
        margin=(28.6, 17.2),
    ),
]
