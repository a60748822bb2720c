"""Identification: which of the people enrolled is this, if any?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.evaluation.embeddings import DISTANCE, embedding_matrix
from metricface.types import Embeddings, Labels, label_array


@dataclass(frozen=True)
class Identification:
    """What :func:`identification` measured."""

    rank: dict[int, float]
    """Rank-k rate: share of the mated probes whose identity is among the k nearest, by k."""
    detection: dict[float, float]
    """Detection-and-identification rate at each false-alarm rate asked for; NaN where there are
    too few probes without a mate to measure it."""
    thresholds: dict[float, float]
    """The distance up to which a probe is taken for somebody, for each of these rates."""
    mated: int
    """Probes of somebody enrolled."""
    unmated: int
    """Probes of nobody enrolled."""
    candidates: int
    """Identities in the gallery, each distractor counted as one."""
    cmc: npt.NDArray[np.float64] = field(repr=False, compare=False)
    """Cumulative match characteristic: the rate at rank 1, 2, …, ``[candidates]``."""


def identification(
    gallery: Embeddings,
    gallery_labels: Labels,
    probes: Embeddings,
    probe_labels: Labels,
    *,
    ranks: Sequence[int] = (1, 5, 10),
    distractors: Embeddings | None = None,
    false_alarms: Sequence[float] = (),
    distance: Distance = DISTANCE,
    block: int = 256,
) -> Identification:
    """Rank-k, CMC and the open-set rate of probes searched in a gallery.

    A person stands in the gallery at the distance of their nearest picture. The rank of a mated
    probe is 1 plus the number of others that are not farther than its own identity: **ties are
    decided against the probe**. Distractors are strangers in the gallery, each somebody else.

    **Open set.** A probe is taken for the nearest person if that distance ≤ t, else for nobody.
    For a probe of nobody enrolled that is a false alarm. With t the largest threshold whose
    false-alarm rate does not exceed the one asked for::

        detection = share of mated probes at rank 1 whose distance ≤ t

    A rate below 1 / (number of unmated probes) cannot be told from 0: its detection is NaN, with
    a warning. Memory is O(block × (gallery + distractors)).

    Args:
        gallery: enrolled pictures, floating ``[R, D]``.
        gallery_labels: their identities, integers or strings ``[R]``.
        probes: floating ``[B, D]``.
        probe_labels: their identities ``[B]``; those not in the gallery are unmated.
        ranks: the k of the rank-k rates, each at least 1.
        distractors: floating ``[S, D]``, or None.
        false_alarms: false-alarm rates of the open-set form, each in (0, 1].
        distance: what is ranked; smaller is closer.
        block: probes per block; bounds memory.

    Returns:
        The figures and the curve.

    Raises:
        ValueError: shapes or counts that do not fit, NaN embeddings, no mated probe, ranges.
        TypeError: embeddings that are not floating, labels of two kinds.

    Example:
        >>> gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> probes = torch.tensor([[0.9, 0.1], [0.6, 0.5]])
        >>> identification(gallery, ["anna", "ben"], probes, ["anna", "ben"], ranks=(1, 2)).rank
        {1: 0.5, 2: 1.0}

    Reference:
        Kemelmacher-Shlizerman et al., "The MegaFace Benchmark" (2016), section 3; open set:
        Phillips, Grother, Micheals, "Evaluation Methods in Face Recognition" (2011), section 21.2.
    """
    if not ranks or any(k < 1 for k in ranks):
        raise ValueError(f"ranks must be one or more of at least 1, got {tuple(ranks)}")
    for rate in false_alarms:
        if not 0 < rate <= 1:
            raise ValueError(f"every false-alarm rate must be in (0, 1], got {rate}")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    references, columns, own = _enrolled(gallery, gallery_labels, distractors, probes, probe_labels)
    x = embedding_matrix(probes, "probes")
    if x.shape[1] != references.shape[1]:
        raise ValueError(f"probes have {x.shape[1]} columns but gallery has {references.shape[1]}")
    query, reference = distance.prepare(x, references)
    parts = []
    for start in range(0, len(query), block):
        tile = distance.block(query[start : start + block], reference)
        parts.append(_ranked(tile, columns.to(x.device), own[start : start + block].to(x.device)))
    rank, nearest = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    mated = own >= 0
    if not mated.any():
        raise ValueError(f"none of the {len(own)} probes is of anybody in the gallery")
    return _figures(
        rank[mated].numpy(),
        nearest[mated].double().numpy(),
        nearest[~mated].double().numpy(),
        int(columns.max()) + 1,
        ranks,
        false_alarms,
    )


def _enrolled(
    gallery: Embeddings,
    gallery_labels: Labels,
    distractors: Embeddings | None,
    probes: Embeddings,
    probe_labels: Labels,
) -> tuple[Tensor, Tensor, Tensor]:
    """All references, the person each is of, and the person each probe is of (-1: nobody)."""
    y = embedding_matrix(gallery, "gallery")
    names, wanted = label_array(gallery_labels, "gallery_labels"), label_array(probe_labels)
    for name, rows, labels in (("gallery", y, names), ("probes", probes, wanted)):
        if len(rows) != len(labels):
            raise ValueError(f"{len(rows)} {name} came with {len(labels)} labels")
    if (names.dtype.kind in "US") != (wanted.dtype.kind in "US"):
        raise TypeError("labels are strings on one side and integers on the other")
    if names.dtype.kind != wanted.dtype.kind:  # signed and unsigned have no common integer type
        names, wanted = names.astype(object), wanted.astype(object)
    people, person = np.unique(names, return_inverse=True)
    place = np.searchsorted(people, wanted).clip(max=max(len(people) - 1, 0))
    own = np.where(people[place] == wanted, place, -1) if len(people) else np.full(len(wanted), -1)
    if distractors is not None:
        strangers = embedding_matrix(distractors, "distractors")
        if strangers.shape[1] != y.shape[1]:
            raise ValueError(
                f"distractors have {strangers.shape[1]} columns but gallery has {y.shape[1]}"
            )
        y = torch.cat([y, strangers.to(y)])
        person = np.concatenate([person, len(people) + np.arange(len(strangers))])
    return y, torch.from_numpy(person.astype(np.int64)), torch.from_numpy(own.astype(np.int64))


def _ranked(tile: Tensor, person: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Rank of each probe's own identity, and the distance of whoever is nearest, ``[b]``.

    The rank of an unmated probe means nothing.
    """
    people = int(person.max()) + 1
    if people < tile.shape[1]:
        each = tile.new_full((len(tile), people), torch.inf)
        tile = each.scatter_reduce_(1, person.expand(len(tile), -1), tile, "amin")
    mate = tile.gather(1, own.clamp(min=0)[:, None])
    # All that are not farther, the mate itself among them: 1 + the others.
    return (tile <= mate).sum(dim=1), tile.amin(dim=1)


def _figures(
    rank: npt.NDArray[np.int64],
    nearest: npt.NDArray[np.float64],
    strangers: npt.NDArray[np.float64],
    candidates: int,
    ranks: Sequence[int],
    false_alarms: Sequence[float],
) -> Identification:
    """Rates from ranks and nearest distances of the mated, and nearest of the unmated."""
    cmc = np.bincount(rank, minlength=candidates + 1)[1:].cumsum() / len(rank)
    ascending = np.sort(strangers)
    detection, thresholds = {}, {}
    for rate in false_alarms:
        # With m alarms allowed, everything below the nearest stranger after them is accepted.
        allowed = int(np.floor(rate * len(strangers) * (1 + 1e-12)))
        beyond = ascending[allowed] if allowed < len(strangers) else np.inf
        thresholds[rate] = float(np.nextafter(beyond, -np.inf))
        detection[rate] = float(((rank == 1) & (nearest < beyond)).mean())
        if allowed == 0:
            detection[rate] = thresholds[rate] = float("nan")
            warnings.warn(
                f"a false-alarm rate of {rate:g} needs at least {np.ceil(1 / rate):.0f} probes "
                f"without a mate, there are {len(strangers)}: its detection is NaN",
                stacklevel=3,
            )
    return Identification(
        rank={k: float(cmc[min(k, candidates) - 1]) for k in ranks},
        detection=detection,
        thresholds=thresholds,
        mated=len(rank),
        unmated=len(strangers),
        candidates=candidates,
        cmc=cmc,
    )
