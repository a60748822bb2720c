"""Label multisets for the property tests: tiny, long-tailed, all singletons, one identity."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st


class Case(NamedTuple):
    """Labels, and the p, k and number of processes of a sampler that they allow."""

    labels: list[int]
    p: int
    k: int
    world_size: int
    seed: int


SIZES = st.one_of(
    st.lists(st.integers(1, 9), min_size=1, max_size=14),
    st.lists(st.just(1), min_size=1, max_size=14),
    st.lists(st.integers(1, 3), min_size=1, max_size=9).map(lambda tail: [*tail, 40]),
    st.integers(1, 30).map(lambda n: [n]),
)


@st.composite
def cases(draw: st.DrawFn, *, processes: int = 4) -> Case:
    """A shuffled multiset of labels with settings that fit it."""
    sizes = draw(SIZES)
    names = draw(st.permutations(range(-5, len(sizes) - 5)))
    flat = [name for name, size in zip(names, sizes, strict=True) for _ in range(size)]
    world_size = draw(st.integers(1, min(processes, len(sizes))))
    p = draw(st.integers(1, len(sizes) // world_size))
    k = draw(st.integers(1, 7))
    return Case(draw(st.permutations(flat)), p, k, world_size, draw(st.integers(0, 2**63 - 1)))
