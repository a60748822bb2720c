"""Evaluation of a whole set: against the bare blocked product and AccuracyCalculator."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.scale.against_product import PRODUCT, Data, Measure, add_table
from metricface.evaluation import (
    ClassDistances,
    Retrieval,
    Verification,
    class_distances,
    retrieval,
    verification,
)

DESCRIPTION = """\
Seconds and peak memory of the evaluation over clustered embeddings (as in "offline").

  product        the bare blocked matrix product of anchors and everyone, where histogram and
                 verification need only half of it
  histogram      class_distances: the exact histogram of all pairs
  verification   ROC, TAR at FAR and ten-fold accuracy over all pairs
  listed pairs   the same over a million pairs drawn at random, half of them genuine
  retrieval      Recall@1 and @5, R-precision, MAP@R of the anchors against everyone
  pml            AccuracyCalculator: Recall@1, R-precision, MAP@R of the same

"CPU s" is of all threads, and disturbed less than seconds are by what else the machine does;
"× product" is CPU seconds over those of the product for as many anchors; with another --device it
is of seconds, and memory is the device's. Each figure is a process of its own; "added" is its peak
memory less what it held before.
"""
LISTED = 1_000_000


def histogram(data: Data) -> ClassDistances:
    """All pairs, into 200 bins."""
    return class_distances(data.x, data.labels)


def all_pairs(data: Data) -> Verification:
    """All pairs, genuine and impostor."""
    return verification(data.x, data.labels)


def listed_pairs(data: Data) -> Verification:
    """Random pairs, of which every second is two neighbours in the order of the labels."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(len(data.x), (LISTED,), generator=generator)
    ahead = torch.randint(1, len(data.x), (LISTED,), generator=generator)
    pairs = torch.stack([first, (first + ahead) % len(data.x)], dim=1)
    order = data.labels.argsort().cpu()
    place = torch.randint(len(data.x) - 1, (LISTED // 2,), generator=generator)
    pairs[::2] = torch.stack([order[place], order[place + 1]], dim=1)
    pairs = pairs.to(data.labels.device)
    same = data.labels[pairs[:, 0]] == data.labels[pairs[:, 1]]
    return verification(data.x, pairs=pairs, same=same)


def search(data: Data) -> Retrieval:
    """The first samples as queries, each searched among all but itself."""
    x, labels, anchors, _ = data
    if anchors == len(x):
        return retrieval(x, labels)
    ids = torch.arange(len(x), device=x.device)
    return retrieval(
        x[:anchors],
        labels[:anchors],
        gallery=x,
        gallery_labels=labels,
        ids=ids[:anchors],
        gallery_ids=ids,
    )


def peer(data: Data) -> object:
    """pytorch-metric-learning's calculator, as its documentation uses it."""
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=names, k="max_bin_count")
    x, labels, anchors, _ = data
    return calculator.get_accuracy(
        x[:anchors], labels[:anchors], x, labels, ref_includes_query=True
    )


MEASURES = {
    "product": PRODUCT,
    "histogram": Measure(histogram, all_pairs=True),
    "verification": Measure(all_pairs, all_pairs=True),
    "listed pairs": Measure(listed_pairs, own_pairs=True),
    "retrieval": Measure(search),
    "pml": Measure(peer),
}


def add_command(commands: Any) -> None:
    """Add ``evaluation`` to the command line."""
    add_table(
        commands,
        "evaluation",
        help="histogram, verification and retrieval of a whole set",
        description=DESCRIPTION,
        measures=MEASURES,
    )
