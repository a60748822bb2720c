"""What another processor would do: products that round otherwise, other threads, other blocks.

``pytest --shake SEED`` perturbs every matrix product under a distance, entry by entry, by a few
units in the last place. ``pytest --vary SEED`` takes another number of threads and other sizes of
blocks and tiles. Everything must hold under both: what fails is decided by rounding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

from metricface.distances import distance, tiles
from metricface.distances import product as products
from metricface.identities import Matches

Product: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"

_SHOWS_TILES = tuple(f"tiles.{name}" for name in ("width_for", "in_whole_tiles", "squared_tiles"))
_SHOWS_TILES += ("labelled_pairs.LabelledPairs",)
_UNITS = 4  # in the last place of ‖q‖² + ‖r‖²
_MANTISSA = {torch.float32: 24, torch.float64: 53}


def shake(seed: int) -> None:
    """Perturb every inexact product from now on, the same two rows always in the same way."""
    plain: Product = products.squared_distances
    multiplied = tiles.multiplied

    def squared_distances(query: Tensor, reference: Tensor) -> Tensor:
        squared = plain(query, reference)
        if query.ndim == 3 or is_exact(query, reference):
            return squared
        own, other = ((side.detach() ** 2).sum(1) for side in (query, reference))
        return (squared + noise(own, other, seed)).clamp_min(0)

    def shaken_tile(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        tile = multiplied(left, right, out)
        # Of [−2q, 1, ‖q‖²] and [r, ‖r‖², 1] the last columns hold the squared lengths.
        if is_exact(left[:, :-2] / 2, right[:-2].T):
            return tile
        return tile.add_(noise(left[:, -1].abs(), right[-2], seed))

    for module in (distance, tiles):
        vars(module)["squared_distances"] = squared_distances
    tiles.multiplied = shaken_tile


def noise(own: Tensor, other: Tensor, seed: int) -> Tensor:
    """Some units in the last place of the sum of two squared lengths, ``[B, R]``.

    It depends on the two rows alone, not on their places: the size of a block may change nothing.
    """
    integer = torch.int64 if own.dtype == torch.float64 else torch.int32
    mixed = own.contiguous().view(integer).long()[:, None] * 7919
    mixed = (mixed + other.contiguous().view(integer) + seed) * 0x1E3779B97F4A7C15
    mixed = (mixed ^ (mixed >> 29)) * 0x3F58476D1CE4E5B9
    units = (mixed >> 32) % (2 * _UNITS + 1) - _UNITS
    return units.to(own.dtype) * (own[:, None] + other) * torch.finfo(own.dtype).eps


def is_exact(x: Tensor, y: Tensor) -> bool:
    """Whether every sum of products of their entries is a number of their dtype.

    Then every processor finds the same, in whatever order it sums.
    """
    both = torch.cat([x.detach().flatten(), y.detach().flatten()]).double()
    grains = [grain for grain in range(-3, 12) if is_whole(both * 2.0**grain)]
    if not grains or not len(both):
        return not len(both)
    largest = float(both.abs().amax()) * 2.0 ** min(grains)
    return 4 * x.shape[1] * largest**2 < 2.0 ** _MANTISSA[x.dtype]


def is_whole(values: Tensor) -> bool:
    return bool((values == values.round()).all())


def vary(seed: int) -> None:
    """Other threads, blocks and tiles from now on, drawn anew for each."""
    numbers = random.Random(seed)
    torch.set_num_threads(numbers.choice([1, 2, 3]))
    blocks: Callable[..., Iterator[tuple[int, int]]] = Matches.blocks

    def smaller(self: Any, *budget: int, **bytes_each: int) -> Iterator[tuple[int, int]]:
        # The same for batches of the same shape: a sum of blocks is rounded as they are cut.
        size = random.Random(f"{seed} {self.shape}").randint(1, 40)
        for start, stop in blocks(self, *budget, **bytes_each):
            yield from ((n, min(n + size, stop)) for n in range(start, stop, size))

    setattr(Matches, "blocks", smaller)  # noqa: B010  (its type is another)
    tiles.WIDTH = numbers.choice([32, 96, 700, 4096])
    tiles._AREA = numbers.choice([1, 3, 50]) * tiles.WIDTH


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("metricface")
    group.addoption("--shake", type=int, metavar="SEED", help="perturb every matrix product")
    group.addoption("--vary", type=int, metavar="SEED", help="other threads, blocks and tiles")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What measures memory would measure the noise, or other blocks, as well."""
    if config.getoption("--shake") is None and config.getoption("--vary") is None:
        return
    skipped = pytest.mark.skip(reason="measures memory, or shows the size of a tile")
    for item in items:
        if "memory" in item.nodeid or item.nodeid.endswith(_SHOWS_TILES):
            item.add_marker(skipped)


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--shake")
    if seed is not None:
        shake(seed)
    seed = config.getoption("--vary")
    if seed is not None:
        vary(seed)
