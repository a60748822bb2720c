"""Evaluation in tiles so small that every set needs several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from unittest.mock import patch

from metricface.distances import tiles

# Their functions have the modules' names, by which the modules cannot be reached.
RETRIEVAL, IDENTIFICATION, MEGAFACE = (
    import_module(f"metricface.evaluation.{name}")
    for name in ("retrieval", "identification", "protocols.megaface")
)


@contextmanager
def small_tiles(size: int) -> Iterator[None]:
    """Tiles of so many references and queries, and few queries at once."""
    with ExitStack() as stack:
        for module, name, value in (
            (tiles, "WIDTH", size),
            (tiles, "_AREA", size * size),
            (RETRIEVAL, "width_for", lambda k: size),
            (IDENTIFICATION, "WIDTH", size),
            (RETRIEVAL, "_BYTES_AT_ONCE", 8 * 30 * size),
            (IDENTIFICATION, "_BYTES_AT_ONCE", 8 * 4 * size),
            (MEGAFACE, "_BYTES_AT_ONCE", 8 * 4 * size),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield
