"""What a sampler promises, checked by counting: plain Python, nothing of the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

Label = TypeVar("Label", bound=Hashable)


def batch_faults(labels: Sequence[Hashable], batch: Sequence[int], p: int, k: int) -> list[str]:
    """Everything that is wrong with one batch; nothing when it keeps every promise."""
    if len(batch) != p * k:
        return [f"{len(batch)} indices instead of {p * k}"]
    if any(type(index) is not int for index in batch):
        return ["indices that are no Python integers"]
    faults, available = [], Counter(labels)
    rows = [batch[place * k : (place + 1) * k] for place in range(p)]
    for row in rows:
        whose = {labels[index] for index in row}
        if len(whose) != 1:
            faults.append(f"one row holds {len(whose)} identities")
            continue
        shown = Counter(row)
        expected = min(k, available[whose.pop()])
        if len(shown) != expected or spread(shown.values()) > 1:
            faults.append(f"{sorted(shown.values())} draws of {expected} images")
    if len({labels[row[0]] for row in rows}) != p:
        faults.append("an identity comes twice")
    return faults


def spread(counts: Iterable[int]) -> int:
    """Largest count less the smallest."""
    values = list(counts)
    return max(values) - min(values)


def identities_of(labels: Sequence[Label], batch: Sequence[int], k: int) -> list[Label]:
    """The identity of each group of ``k`` indices."""
    return [labels[batch[place]] for place in range(0, len(batch), k)]


def most_uneven(labels: Sequence[Hashable], draws: Counter[int]) -> int:
    """The largest difference between two images of one identity in how often they were drawn."""
    images: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels):
        images.setdefault(label, []).append(draws[index])
    return max(spread(counts) for counts in images.values())


def fewest_batches(sizes: Sequence[int], k: int, width: int) -> int:
    """The shortest epoch of full batches that shows every image, an identity once a batch."""
    needed = [-(-size // k) for size in sizes]
    return max(-(-sum(needed) // width), max(needed))


def better_moves(
    sizes: Sequence[int], visits: Sequence[int], k: int, batches: int
) -> list[tuple[int, int]]:
    """Visits that could go from one identity to another whose images would be shown less often.

    An identity keeps the visits it needs and has at most one in a batch.
    """
    spare = [i for i, size in enumerate(sizes) if visits[i] > -(-size // k)]
    open_ = [i for i in range(len(sizes)) if visits[i] < batches]
    return [
        (here, there)
        for here in spare
        for there in open_
        if Fraction(visits[there] + 1, sizes[there]) < Fraction(visits[here], sizes[here])
    ]
