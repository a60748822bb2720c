"""Impostors of a whole set: against the bare blocked product, and what approximation misses."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.scale.against_product import PRODUCT, Data, Measure, add_table
from metricface.offline import Neighbours, nearest_impostors
from metricface.offline.impostors import Index

DESCRIPTION = """\
Seconds and peak memory of nearest_impostors over embeddings of identities with about 12 images
each: centres of unit length in a subspace of 24 dimensions, with noise around them.

  product   the bare blocked matrix product of anchors and everyone, tile by tile into one
            buffer: the floor
  exact     anchors against everyone, in the same tiles
  ivf       FAISS's inverted lists; hnsw: its graph; both with their building, and always for
            everyone: for a few anchors exact search is sooner

"CPU s" is of all threads, and disturbed less than seconds are by what else the machine does;
"× product" is CPU seconds over those of the product for as many anchors; with another --device it
is of seconds, and memory is the device's. Each figure is a process of its own; "added" is its peak
memory less what it held before. Recall is against exact search
for 1,000 samples.
"""
RECALLED = 1000


def search(data: Data, index: Index) -> Neighbours:
    """The nearest impostors of the first samples."""
    anchors = None if data.anchors == len(data.x) else range(data.anchors)
    return nearest_impostors(data.x, data.labels, data.k, index=index, anchors=anchors)


def recall(data: Data, found: Neighbours) -> float:
    """Of evenly chosen samples, against an exact search."""
    some = np.linspace(0, data.anchors - 1, min(RECALLED, data.anchors)).astype(np.int64)
    exact = nearest_impostors(data.x, data.labels, data.k, anchors=some)
    return Neighbours(found.distances[some], found.indices[some]).recall(exact)


MEASURES = {
    "product": PRODUCT,
    "exact": Measure(partial(search, index="exact")),
    "ivf": Measure(partial(search, index="ivf"), recall=recall, all_samples=True),
    "hnsw": Measure(partial(search, index="hnsw"), recall=recall, all_samples=True),
}


def add_command(commands: Any) -> None:
    """Add ``offline`` to the command line."""
    add_table(
        commands,
        "offline",
        help="hard impostors of a whole set",
        description=DESCRIPTION,
        measures=MEASURES,
    )
