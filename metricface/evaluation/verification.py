"""Verification: are these two of one identity?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.rows import Rows
from metricface.distributed.together import Together
from metricface.evaluation.given import DISTANCE, checked_rates
from metricface.evaluation.held_out import Impostors, held_out_accepts
from metricface.evaluation.labelled_pairs import LabelledPairs, PairTile
from metricface.evaluation.listed_pairs import Flags, IndexPairs, counted_pairs
from metricface.evaluation.operating_points import (
    OperatingPoints,
    Roc,
    allowed_impostors,
    area_under,
    equal_error_rate,
)
from metricface.given import as_count
from metricface.types import Embeddings, Labels

DECK = 10_007
"""Hands dealt before the deck repeats; prime, so that it keeps step with no size of a set."""


@dataclass(frozen=True)
class ValidationRate:
    """VAL: the true accept rate where the threshold was set on other folds."""

    mean: float
    """Mean over the folds of the TAR at the threshold that holds the FAR on the other folds."""
    std: float
    """Standard deviation over the folds (divided by folds − 1)."""
    sem: float
    """Standard error of the mean: std / √folds."""
    far: float
    """The mean FAR that these thresholds gave on the folds themselves."""


@dataclass(frozen=True)
class Verification:
    """What :func:`verification` measured. A pair is accepted where its distance ≤ threshold."""

    accuracy: float
    """Mean over the folds of the accuracy at the threshold chosen on the other folds."""
    std: float
    """Standard deviation of that accuracy over the folds (divided by folds − 1)."""
    sem: float
    """Standard error of its mean: std / √folds."""
    accuracies: tuple[float, ...]
    """Accuracy on each fold at the threshold chosen on the others."""
    threshold: float
    """Distance of best accuracy on all pairs; −∞ where accepting nothing is best."""
    tar: dict[float, float]
    """TAR at each FAR asked for; NaN where there are too few impostor pairs to measure it."""
    val: dict[float, ValidationRate]
    """VAL at each FAR asked for, by folds; NaN where the other folds have too few impostors."""
    eer: float
    """Equal error rate: where FAR = 1 − TAR."""
    auc: float
    """Area under the ROC; ties count half."""
    genuine_pairs: int
    """Number of pairs of one identity."""
    impostor_pairs: int
    """Number of pairs of two identities."""
    roc: Roc = field(repr=False, compare=False)
    """The curve that eer and auc are read from."""


def verification(
    embeddings: Embeddings,
    labels: Labels | None = None,
    *,
    pairs: IndexPairs | None = None,
    same: Flags | None = None,
    folds: int = 10,
    fars: Sequence[float] = (1e-1, 1e-2, 1e-3),
    distance: Distance = DISTANCE,
    seed: int = 0,
    block: int = 1024,
    across_ranks: bool = False,
) -> Verification:
    """Verification accuracy by cross-validation, TAR at FAR, EER, AUC and ROC.

    Two forms. **With pairs**, the LFW protocol: the list is cut into folds of consecutive pairs;
    on each, accuracy is the share of pairs judged right, at the threshold that is best on the
    other folds. **With labels**, all N(N − 1)/2 pairs of the set. Impostor pairs are then many
    times the genuine ones and refusing everything would look excellent, so accuracy is balanced,
    (TAR + 1 − FAR) / 2; pairs are dealt to folds by the seed. Folds share images there, so that
    std and sem speak of the threshold, not of other identities. Of thresholds that are equally
    good the smallest is taken; it is always the distance of a genuine pair.

    TAR at a FAR is taken at the largest threshold whose FAR does not exceed it, over all pairs;
    VAL takes that threshold from the other folds, as FaceNet reports it: just below the impostor
    pair of theirs that would be one too many. Of 100 impostor pairs a FAR of 0.29 allows 29.
    A FAR below 1 / (number of impostor pairs) cannot be told from 0: its TAR is NaN, with a
    warning. All figures are exact: impostor distances are counted between the genuine ones
    tile by tile and never kept, so memory is O(N·D + folds × genuine pairs + block²). VAL takes a
    second walk over them, where a FAR is asked for. Of given pairs the distances are kept, in all
    about 16 bytes for each beside the pairs themselves.

    Args:
        embeddings: floating ``[N, D]``.
        labels: one identity per row, integers or strings; or else pairs and same.
        pairs: rows of the embeddings to compare, integers ``[T, 2]``.
        same: whether each pair is of one identity, booleans ``[T]``.
        folds: number of folds. Of a single one, as IJB's lists are, accuracy, std, sem and VAL
            are NaN: there is nothing else to choose a threshold on.
        fars: false accept rates, each in (0, 1].
        distance: what is measured; smaller is closer.
        seed: decides which pairs of a labelled set fall into which fold.
        block: side of the tiles in which all pairs are met; bounds memory.
        across_ranks: all ranks of the process group call this with the same arguments, each
            meets its share of the pairs, and all get the same answer.

    Returns:
        The figures and the curve.

    Raises:
        ValueError: neither or both forms, shapes, counts or ranges that do not fit, NaN
            embeddings, a row paired with itself, no genuine or no impostor pair, a fold
            without one of the two. Across ranks whatever is wrong on one of them, on all.
        TypeError: embeddings that are not floating, pairs that are not integers, same that is
            not boolean, folds, seed or FARs that are no numbers.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.0, 1.0], [0.1, 0.9]])
        >>> result = verification(x, list("aaabb"), folds=2, fars=(0.5,))
        >>> result.tar, result.eer, result.auc
        ({0.5: 1.0}, 0.0, 1.0)

    Reference:
        Huang et al., "Labeled Faces in the Wild" (2007), section 4; VAL at FAR: Schroff et al.,
        "FaceNet" (2015), section 4.
    """
    with Together(across_ranks) as together:
        folds, seed = as_count("folds", folds), as_count("seed", seed, 0)
        fars, block = checked_rates(fars, "fars"), as_count("block", block)
        if (labels is None) == (pairs is None) or (pairs is None) != (same is None):
            raise ValueError("give either labels, or pairs together with same")
        together.agree({"settings": (labels is None, folds, fars, seed)})
        if labels is not None:
            listed = LabelledPairs(
                embeddings, labels, distance=distance, block=block, together=together
            )
            points, impostors = _of_labelled(listed, folds, seed)
        else:
            rows = Rows(embeddings, distance)
            points, impostors = counted_pairs(rows, pairs, same, folds, together)
            advice = "order the pairs so that each fold holds both, or ask for fewer; 1 is for none"
            _check_folds(points, advice)
        return _figures(points, impostors, fars, balanced=labels is not None)


def _of_labelled(listed: LabelledPairs, folds: int, seed: int) -> tuple[OperatingPoints, Impostors]:
    """Counts over all pairs of a labelled set, dealt to folds by the seed, and the impostors."""
    generator = torch.Generator().manual_seed(seed)
    genuine, upper, together = listed.genuine(), listed.bound(), listed.together
    together.agree({"distances of genuine pairs": genuine, "their bound": upper})
    hand = torch.randperm(len(genuine), generator=generator).to(genuine.device) % folds
    # There are too many impostors to shuffle, so their folds are dealt from a shuffled deck, over
    # and over. Each hand holds every fold once: every fold gets its share of even a few pairs.
    deck = torch.rand(DECK, folds, generator=generator).argsort(dim=1).flatten().int()
    deck = deck.to(genuine.device)

    def parts() -> Iterator[tuple[Tensor, Tensor]]:
        for tile in listed.impostors():
            yield tile.pick(tile.distances), tile.pick(_dealt(deck, listed, tile))

    points = OperatingPoints.count(genuine, hand, parts(), folds, upper=upper, together=together)
    _check_folds(points, "ask for fewer folds")
    return points, Impostors(parts, genuine, together)


def _dealt(deck: Tensor, listed: LabelledPairs, tile: PairTile) -> Tensor:
    """The cards of a tile: row by row a stretch of the deck, which begins anew at its end."""
    width = tile.distances.shape[1]
    endless = deck.repeat(2 + width // len(deck)).unfold(0, width, 1)
    return endless[listed.ordinals(tile) % len(deck)]


def _check_folds(points: OperatingPoints, advice: str) -> None:
    """Both kinds of pair in every fold, or no accuracy can be told."""
    for kind, totals in (("genuine", points.genuine_total), ("impostor", points.impostor_total)):
        if not totals.all():
            first = int((totals == 0).argmax())
            raise ValueError(
                f"fold {first} of {len(totals)} holds no {kind} pair ({totals.sum()} in all): "
                f"{advice}"
            )


def _figures(
    points: OperatingPoints, impostors: Impostors, fars: Sequence[float], *, balanced: bool
) -> Verification:
    """The figures of merit from the counts."""
    accuracies = points.fold_accuracies(balanced=balanced)
    std = float(accuracies.std(ddof=1)) if len(accuracies) > 1 else float("nan")
    roc = points.roc()
    return Verification(
        accuracy=float(accuracies.mean()),
        std=std,
        sem=std / len(accuracies) ** 0.5,
        accuracies=tuple(accuracies.tolist()),
        threshold=points.best_threshold(balanced=balanced),
        tar=points.tars_at(fars),
        val=_validation(points, impostors, fars),
        eer=equal_error_rate(roc),
        auc=area_under(roc),
        genuine_pairs=int(points.genuine_total.sum()),
        impostor_pairs=int(points.impostor_total.sum()),
        roc=roc,
    )


def _validation(
    points: OperatingPoints, impostors: Impostors, fars: Sequence[float]
) -> dict[float, ValidationRate]:
    """VAL over the folds, or NaN where a threshold for the FAR cannot be found on the others."""
    others = (points.impostor_total.sum() - points.impostor_total).tolist()
    allowed = {far: [allowed_impostors(far, total) for total in others] for far in fars}
    known = [far for far in allowed if min(allowed[far])]
    nan = float("nan")
    found = dict.fromkeys(fars, ValidationRate(nan, nan, nan, nan))
    if not known:
        return found
    counts = np.array([allowed[far] for far in known], dtype=np.int64)
    accepts = held_out_accepts(points, counts, impostors) / points.impostor_total
    for far, rates, rate in zip(known, points.held_out_tar(counts), accepts, strict=True):
        std = float(rates.std(ddof=1))
        sem = std / len(rates) ** 0.5
        found[far] = ValidationRate(float(rates.mean()), std, sem, float(rate.mean()))
    return found
