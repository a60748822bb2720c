"""MegaFace: the pictures of a few people among a million strangers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.distances.rows import Rows
from metricface.distances.tiles import Nearest, in_whole_tiles, squared_tiles, width_for
from metricface.evaluation.given import DISTANCE, checked_ranks, checked_rates
from metricface.evaluation.operating_points import OperatingPoints
from metricface.evaluation.protocols.lines import short
from metricface.types import Embeddings, Labels, numbered

_LARGEST = 1 << 30  # bytes of a list; one of a million images has a twentieth of it
_BYTES_AT_ONCE = 64 * 2**20  # of probes that meet the distractors together


@dataclass(frozen=True)
class MegafaceList:
    """Images of FaceScrub or of MegaFace, in the order of the file."""

    paths: tuple[str, ...]
    """Each image."""
    ids: tuple[str, ...] | None
    """Whom it shows; None where the list does not tell, as of distractors."""


@dataclass(frozen=True)
class Megaface:
    """What :func:`megaface` measured."""

    rank: dict[int, float]
    """Rank-k rate over all searches, by k."""
    tar: dict[float, float]
    """TAR at each FAR asked for; NaN where there are too few impostor pairs to measure it."""
    searches: int
    """Ordered pairs of two pictures of one person: a probe and its mate in the gallery."""
    impostor_pairs: int
    """Pairs of a probe and a distractor."""


def read_megaface_list(file: str | os.PathLike[str]) -> MegafaceList:
    r"""Read a list of MegaFace's development kit.

    ``facescrub_features_list.json`` and ``megaface_features_list.json_1000000_1``, with 10 to a
    million distractors, hold ``{"path": […], "id": […]}``.

    Args:
        file: the path.

    Raises:
        ValueError: it is no such list, or is cut off (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "facescrub_features_list.json")
        ...     _ = file.write_text('{"path": ["Anna/Anna_1.png"], "id": ["Anna"]}')
        ...     read_megaface_list(file)
        MegafaceList(paths=('Anna/Anna_1.png',), ids=('Anna',))
    """
    with Path(file).open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > _LARGEST:
            raise ValueError(f"{file} has more than {_LARGEST} bytes: it is no such list")
        head = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head.startswith(b"{"):
            raise ValueError(f'{file}, line 1: expected {{"path": [...]}}, got {short(head)}')
        stream.seek(0)
        try:
            held = json.loads(stream.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is not text: byte {error.start} is not UTF-8") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"{file}, line {error.lineno}: {error.msg}: is it cut off?") from error
        except RecursionError as error:
            raise ValueError(f"{file} is nested deeper than any such list") from error
    paths, ids = held.get("path"), held.get("id")
    for name, column in (("path", paths), ("id", ids)):
        if column is None and name == "id":
            continue
        if not isinstance(column, list) or not all(isinstance(each, str | int) for each in column):
            raise ValueError(f"{file}: {name!r} must be a list of names, got {_kind(column)}")
    if not paths:
        raise ValueError(f"{file} lists no images")
    if ids is not None and len(ids) != len(paths):
        raise ValueError(f"{file} has {len(paths)} paths but {len(ids)} ids")
    return MegafaceList(tuple(map(str, paths)), None if ids is None else tuple(map(str, ids)))


def megaface(
    probes: Embeddings,
    labels: Labels,
    distractors: Embeddings,
    *,
    ranks: Sequence[int] = (1, 10),
    fars: Sequence[float] = (1e-6,),
    distance: Distance = DISTANCE,
) -> Megaface:
    """MegaFace's two challenges: rank-k among distractors, and TAR at very low FARs.

    **Identification.** Each picture of a person in turn is the only one of theirs in the gallery,
    beside all distractors, and each of their other pictures searches it: M pictures of one person
    are M(M − 1) searches. :func:`identification` differs in that all people it enrols stand in
    the gallery together. Ties are decided against the probe. **Verification.** Genuine pairs are
    the pairs of pictures of one person, impostor pairs those of any picture and any distractor;
    TAR is taken as :func:`verification` takes it.

    Each picture meets each distractor once, tile by tile. Memory beside the embeddings is tiles of
    a fixed size, the K nearest distractors of each picture for the largest K of the ranks, and
    the genuine distances. For the curve over 10 to a million distractors call it with each of
    MegaFace's lists.

    Args:
        probes: pictures of FaceScrub's people, floating ``[B, D]``.
        labels: their identities ``[B]``; who has only one picture is an impostor, no more.
        distractors: floating ``[S, D]``, anybody else.
        ranks: the k of the rank-k rates, each at least 1.
        fars: false accept rates, each in (0, 1].
        distance: what is ranked; smaller is closer.

    Returns:
        The figures.

    Raises:
        ValueError: shapes or counts that do not fit, NaN embeddings, no two pictures of one
            person, no distractor, ranges.
        TypeError: embeddings that are not floating, labels that are neither integers nor strings.

    Example:
        >>> probes = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> found = megaface(probes, ["a", "a", "b"], torch.tensor([[0.6, 0.8]]), fars=(0.5,))
        >>> found.rank[1], found.searches, found.impostor_pairs
        (0.5, 2, 3)

    Reference:
        Kemelmacher-Shlizerman et al., "The MegaFace Benchmark" (2016), section 3.
    """
    ranks, fars = checked_ranks(ranks, "ranks"), checked_rates(fars, "fars")
    x = Rows(probes, distance, name="probes")
    crowd = Rows(distractors, distance, beside=x, name="distractors")
    numbers = torch.from_numpy(numbered(labels, count=len(x), of="probes").numbers)
    if not len(crowd):
        raise ValueError("there is no distractor")
    if numbers.bincount().lt(2).all():
        raise ValueError(f"no two of the {len(x)} probes share an identity")
    mates = list(_mates(x, numbers))
    nearest: list[Tensor] = []
    once = [
        square[tuple(torch.triu_indices(len(square), len(square), offset=1))] for _, square in mates
    ]
    genuine = distance.from_squared(torch.cat(once))
    points = OperatingPoints.count(
        genuine,
        torch.zeros(len(genuine), dtype=torch.int64, device=x.device),
        _impostors(x, crowd, min(max(ranks), len(crowd)), nearest),
        1,
        upper=float(genuine.max()),
    )
    nearer = _nearer(mates, torch.cat(nearest))
    return _figures(points, nearer, ranks, fars)


def _mates(x: Rows, numbers: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of each person who has several, and their squared distances ``[m, m]``."""
    order, count = numbers.argsort(stable=True), numbers.bincount().tolist()
    for rows in torch.split(order, count):
        if len(rows) > 1:
            tiles = squared_tiles(x[rows], x, [rows])
            square = torch.cat([tile.squared.clone() for tile in tiles])
            yield rows.to(x.device), square.clamp_(min=0)


def _impostors(
    x: Rows, crowd: Rows, k: int, nearest: list[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Distances and folds of all pairs of a probe and a distractor, each met once.

    On the way the squared distances of the k nearest distractors to each probe are put into a
    list, ascending, in the order of the probes.
    """
    at_once, _ = in_whole_tiles(max(1, _BYTES_AT_ONCE // (8 * x.dim)), x.device)
    zero = torch.zeros(1, dtype=torch.int32, device=x.device)
    parts = torch.split(torch.arange(len(crowd)), width_for(k))
    for some in torch.split(torch.arange(len(x)), at_once):
        query = x[some]
        kept = Nearest(len(some), k, like=query)
        for tile in squared_tiles(query, crowd, parts):
            kept.see(tile)
            values = x.distance.from_squared(tile.squared.clamp_(min=0)).flatten()
            yield values, zero.expand(len(values))
        nearest.append(kept.values().clamp_(min=0))


def _nearer(mates: Iterable[tuple[Tensor, Tensor]], nearest: Tensor) -> Tensor:
    """How many of the nearest distractors are not farther than the mate, for each search."""
    counts = []
    for rows, square in mates:
        other = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        counts.append(torch.searchsorted(nearest[rows], square, right=True)[other])
    return torch.cat(counts)


def _figures(
    points: OperatingPoints, nearer: Tensor, ranks: Sequence[int], fars: Sequence[float]
) -> Megaface:
    return Megaface(
        rank={k: float((nearer < k).double().mean()) for k in ranks},
        tar=points.tars_at(fars),
        searches=len(nearer),
        impostor_pairs=int(points.impostor_total.sum()),
    )


def _kind(column: object) -> str:
    return "nothing" if column is None else type(column).__name__
