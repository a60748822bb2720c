"""Margin classifiers over the training identities; the classifier is dropped for the evaluation."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.convergence.methods.method import (
    PROXY_LEARNING_RATES,
    SCALES,
    Method,
    Setup,
    Values,
    trained_on,
)
from metricface import classifiers
from metricface.classifiers import Classifier
from metricface.losses import CenterLoss


def _head(
    name: str,
    rule: str,
    make: Callable[[int, int, Values], Classifier],
    **space: tuple[float, ...],
) -> Method:
    def ask(setup: Setup, values: Values) -> tuple[Classifier, None]:
        return make(setup.classes, setup.dim, values), None

    return Method(name, "classifier", rule, trained_on(ask), space)


def _softmax_center(setup: Setup, values: Values) -> tuple[list[Classifier | CenterLoss], None]:
    center = CenterLoss(setup.classes, setup.dim, weight=values["weight"])
    return [classifiers.Softmax(setup.classes, setup.dim), center], None


CLASSIFIED = [
    _head("softmax", "plain softmax", lambda c, d, v: classifiers.Softmax(c, d)),
    _head(
        "modified-softmax",
        "softmax with weights of unit length and no bias",
        lambda c, d, v: classifiers.ModifiedSoftmax(c, d),
    ),
    _head(
        "l-softmax",
        "large-margin softmax, annealed",
        lambda c, d, v: classifiers.LSoftmax(c, d, margin=int(v["margin"])),
        margin=(2, 3, 4),
    ),
    _head(
        "a-softmax",
        "SphereFace's angular softmax, annealed",
        lambda c, d, v: classifiers.ASoftmax(c, d, margin=int(v["margin"])),
        margin=(4, 2, 3),
    ),
    _head(
        "normface",
        "cosine softmax with a fixed scale",
        lambda c, d, v: classifiers.NormFace(c, d, scale=v["scale"]),
        scale=SCALES,
    ),
    _head(
        "cosface",
        "additive cosine margin",
        lambda c, d, v: classifiers.CosFace(c, d, scale=v["scale"], margin=v["margin"]),
        scale=SCALES,
        margin=(0.35, 0.2),
    ),
    _head(
        "arcface",
        "additive angular margin",
        lambda c, d, v: classifiers.ArcFace(c, d, scale=v["scale"], margin=v["margin"]),
        scale=SCALES,
        margin=(0.5, 0.3),
    ),
    _head(
        "combined-margin",
        "cos(m1 θ + m2) − m3 with 1, 0.3, 0.2",
        lambda c, d, v: classifiers.CombinedMargin(c, d, 1.0, 0.3, 0.2, scale=v["scale"]),
        scale=SCALES,
    ),
    _head(
        "gb-cosface",
        "cosine margin on both sides of a global boundary",
        lambda c, d, v: classifiers.GBCosFace(c, d, scale=v["scale"], margin=v["margin"]),
        scale=(32.0, 16.0, 10.0),
        margin=(0.16, 0.1),
    ),
    _head(
        "coco",
        "congenerous cosine with the paper's scale",
        lambda c, d, v: classifiers.COCO(c, d),
    ),
    _head(
        "proxy-nca",
        "Proxy-NCA++: cosine softmax with scale 2/T",
        lambda c, d, v: classifiers.ProxyNCA(c, d, temperature=v["temperature"]),
        temperature=(1 / 9, 1 / 4, 1 / 16),
        loss_lr=PROXY_LEARNING_RATES,
    ),
    _head(
        "proxy-anchor",
        "each proxy against the whole batch, scale 32",
        lambda c, d, v: classifiers.ProxyAnchor(c, d, margin=v["margin"]),
        margin=(0.1, 0.2),
        loss_lr=PROXY_LEARNING_RATES,
    ),
    _head(
        "sub-center-arcface",
        "additive angular margin to the nearest of three centres",
        lambda c, d, v: classifiers.SubCenterArcFace(c, d, scale=v["scale"], margin=v["margin"]),
        scale=SCALES,
        margin=(0.5, 0.3),
    ),
    _head(
        "adaface",
        "margin by the length of the embedding, after its running mean",
        lambda c, d, v: classifiers.AdaFace(
            c, d, scale=v["scale"], margin=v["margin"], alpha=v["alpha"]
        ),
        scale=SCALES,
        margin=(0.4, 0.25),
        alpha=(0.01, 1.0),
    ),
    Method(
        "softmax-center",
        "classifier",
        "plain softmax plus center loss",
        trained_on(_softmax_center),
        {"weight": (0.003, 0.03, 0.0003, 0.3)},
    ),
]
