"""All methods by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from benchmarks.convergence.methods.classified import CLASSIFIED
from benchmarks.convergence.methods.method import Method
from benchmarks.convergence.methods.mined import MINED, WHOLE_BATCH
from benchmarks.convergence.methods.peers import PEERS
from benchmarks.convergence.methods.staged import STAGED

METHODS = {method.name: method for method in (*MINED, *WHOLE_BATCH, *CLASSIFIED, *STAGED, *PEERS)}
"""Every method by its name, in the order of the tables."""


def choose(patterns: Sequence[str]) -> list[Method]:
    """The methods of those names or patterns, each once, in the order given.

    Args:
        patterns: keys of :data:`METHODS`, or patterns such as ``"semi-hard*"``.

    Raises:
        ValueError: a pattern that no method matches.

    Example:
        >>> [method.name for method in choose(["semi-hard", "pml-*-hard"])]
        ['semi-hard', 'pml-semi-hard', 'pml-batch-hard']
    """
    chosen: dict[str, Method] = {}
    for pattern in patterns:
        found = {name: m for name, m in METHODS.items() if fnmatchcase(name, pattern)}
        if not found:
            raise ValueError(f"no method is called {pattern!r}; there are {', '.join(METHODS)}")
        chosen.update(found)
    return list(chosen.values())
