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
from metricface.distances.rows import Rows
from metricface.distances.tiles import WIDTH, in_whole_tiles, squared_tiles
from metricface.distributed.together import Together
from metricface.evaluation.given import DISTANCE, checked_ranks, checked_rates
from metricface.evaluation.operating_points import allowed_impostors
from metricface.types import Embeddings, Labels, label_array, numbered

_BYTES_AT_ONCE = 16 * 2**20  # of probes searched together; the gallery is read for each part


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
    across_ranks: bool = False,
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
    a warning. Embeddings are read a part at a time and may be memory-mapped; beside them, memory
    is tiles of a fixed size and some numbers per row.

    Args:
        gallery: enrolled pictures, floating ``[R, D]``.
        gallery_labels: their identities, integers or strings ``[R]``.
        probes: floating ``[B, D]``.
        probe_labels: their identities ``[B]``; those not in the gallery are unmated.
        ranks: the k of the rank-k rates, each at least 1.
        distractors: floating ``[S, D]``, or None.
        false_alarms: false-alarm rates of the open-set form, each in (0, 1].
        distance: what is ranked; smaller is closer.
        across_ranks: all ranks of the process group call this with the same arguments, each
            searches for its share of the probes, and all get the same answer.

    Returns:
        The figures and the curve.

    Raises:
        ValueError: shapes or counts that do not fit, NaN embeddings, no mated probe, probes that
            are the gallery, ranges.
            Across ranks whatever is wrong on one of them, on all.
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
    with Together(across_ranks) as together:
        ranks = checked_ranks(ranks, "ranks")
        false_alarms = checked_rates(false_alarms, "false_alarms")
        enrolled = Rows(gallery, distance, name="gallery")
        x = Rows(probes, distance, beside=enrolled, name="probes")
        if gallery is probes:
            raise ValueError(
                "the gallery is the probes themselves, so that each would find itself: enrol other "
                "pictures, or let retrieval search a set for its own"
            )
        person, own = _people(gallery_labels, len(enrolled), probe_labels, len(x))
        mated = own >= 0
        if not mated.any():
            raise ValueError(f"none of the {len(own)} probes is of anybody in the gallery")
        held = {"gallery_labels": person, "probe_labels": own, "rates": (ranks, false_alarms)}
        strangers, crowd = 0, None
        if distractors is not None:
            unknown = Rows(distractors, distance, beside=enrolled, name="distractors")
            strangers, crowd = len(unknown), _Crowd(unknown, torch.arange(len(unknown)))
            held.update(unknown.facts())
        together.agree({"distractors": strangers, **enrolled.facts(), **x.facts(), **held})
        known = _Crowd(enrolled, person)
        at_once, step = in_whole_tiles(max(1, _BYTES_AT_ONCE // (8 * x.dim)), x.device)
        share = torch.arange(len(x))[together.stretch(len(x), step)]
        found = [
            _ranked(x[some], own[some].to(x.device), known, crowd)
            for some in torch.split(share, at_once)
        ]
        columns = (torch.cat(column) for column in zip(*found, strict=True))
        rank, squared = (together.cat(column).cpu() for column in columns)
        nearest = distance.from_squared(squared).double()
        return _figures(
            rank[mated].numpy(),
            nearest[mated].numpy(),
            nearest[~mated].numpy(),
            int(person.max()) + 1 + strangers,
            ranks,
            false_alarms,
        )


def _people(
    gallery_labels: Labels, enrolled: int, probe_labels: Labels, probes: int
) -> tuple[Tensor, Tensor]:
    """The number of each gallery row's person, and of each probe's (-1: not in the gallery)."""
    names, wanted = label_array(gallery_labels, "gallery_labels"), label_array(probe_labels)
    for name, count, labels in (("gallery", enrolled, names), ("probes", probes, wanted)):
        if count != len(labels):
            raise ValueError(f"{count} {name} came with {len(labels)} labels")
    if (names.dtype.kind in "US") != (wanted.dtype.kind in "US"):
        raise TypeError("labels are strings on one side and integers on the other")
    if names.dtype.kind != wanted.dtype.kind:  # signed and unsigned have no common integer type
        names, wanted = names.astype(object), wanted.astype(object)
    person, people = numbered(names)
    place = np.searchsorted(people, wanted).clip(max=max(len(people) - 1, 0))
    own = np.where(people[place] == wanted, place, -1) if len(people) else np.full(len(wanted), -1)
    return torch.from_numpy(person), torch.from_numpy(own.astype(np.int64))


def _ranked(
    query: Tensor, wanted: Tensor, enrolled: _Crowd, distractors: _Crowd | None
) -> tuple[Tensor, Tensor]:
    """Rank of each probe's own identity, and the squared distance of whoever is nearest.

    The rank of an unmated probe means nothing. The mate is sought first, then everyone is compared
    with it in the same tiles again, where equal distances are rounded alike: ties stay ties.
    """
    mate = query.new_full((len(query),), torch.inf)
    for tile in squared_tiles(query, enrolled.rows, enrolled.parts):
        other = wanted[tile.rows, None] != enrolled.person[tile.columns]
        least = tile.squared.masked_fill_(other, torch.inf).amin(dim=1)
        mate[tile.rows] = mate[tile.rows].minimum(least)
    mate.clamp_(min=0)
    rank = torch.zeros_like(wanted)  # all that are not farther, the mate among them
    nearest = torch.full_like(mate, torch.inf)
    for crowd in (enrolled,) if distractors is None else (enrolled, distractors):
        for tile in squared_tiles(query, crowd.rows, crowd.parts):
            near = tile.squared <= mate[tile.rows, None]
            rank[tile.rows] += _people_in(near, crowd.person[tile.columns])
            nearest[tile.rows] = nearest[tile.rows].minimum(tile.squared.amin(dim=1))
    return rank, nearest.clamp_(min=0)


class _Crowd:
    """Pictures of some people, in parts about as wide as a tile; each person is in one part.

    Args:
        rows: the pictures.
        person: whose each is, numbered from 0, int64 ``[R]``.
    """

    def __init__(self, rows: Rows, person: Tensor) -> None:
        self.rows, self.person = rows, person.to(rows.device)
        last = torch.bincount(person).cumsum(0)
        marks = torch.arange(WIDTH, max(len(person), WIDTH), WIDTH)
        place = torch.searchsorted(last, marks, right=True)
        cuts = torch.unique(last[place[place > 0] - 1])
        self.parts = torch.tensor_split(person.argsort(stable=True), cuts.tolist())


def _people_in(near: Tensor, person: Tensor) -> Tensor:
    """How many people have a picture that is marked, of columns sorted by person, ``[b]``."""
    count = torch.unique_consecutive(person, return_counts=True)[1]
    if len(count) == len(person):
        return near.sum(dim=1)
    marked = near.cumsum(dim=1, dtype=torch.int32)[:, count.cumsum(0) - 1]
    before = torch.nn.functional.pad(marked[:, :-1], (1, 0))
    return (marked > before).sum(dim=1)


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
        # With m alarms allowed, all that is nearer than the stranger after these m is accepted.
        allowed = allowed_impostors(rate, len(strangers))
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
