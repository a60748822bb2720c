"""``metricface mine``: the nearest impostors of every sample."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from metricface.cli.app import app
from metricface.cli.arguments import (
    Bar,
    Dimensions,
    Embeddings,
    LabelColumn,
    Labels,
    Measure,
    NameColumn,
    columns_meant,
    distance_named,
)
from metricface.cli.outputs import check_outputs, write_csv
from metricface.cli.reports import print_report, size_of
from metricface.cli.tables import read_table
from metricface.offline import Neighbours, nearest_impostors


@app.command()
def mine(
    embeddings: Embeddings,
    out: Annotated[
        Path,
        typer.Option(
            help="Write the impostors as CSV: anchor, rank, impostor, distance (rows are counted "
            "from 0) and, where the file has names, anchor_name, impostor_name."
        ),
    ],
    labels: Labels = None,
    columns: Dimensions = None,
    label_column: LabelColumn = "label",
    name_column: NameColumn = "name",
    k: Annotated[int, typer.Option(min=1, help="Impostors for each sample.")] = 10,
    index: Annotated[str, typer.Option(help="exact, ivf or hnsw.")] = "exact",
    effort: Annotated[
        int | None, typer.Option(min=1, help="Of ivf and hnsw: more misses less.")
    ] = None,
    near_duplicate: Annotated[
        float | None, typer.Option(help="Pass over impostors nearer than this.")
    ] = None,
    relative_margin: Annotated[
        float | None,
        typer.Option(
            help="Pass over impostors nearer than this share of the nearest positive's distance."
        ),
    ] = None,
    recall_of: Annotated[
        int, typer.Option(help="Samples for which an approximate search is checked.")
    ] = 500,
    distance: Measure = "squared",
    progress: Bar = False,  # noqa: FBT002
) -> None:
    """The nearest impostors of every sample, over the whole set."""
    check_outputs(out, inputs=(embeddings, labels))
    if index == "exact" and effort is not None:
        raise typer.BadParameter("--effort goes with --index ivf or hnsw")
    measure = distance_named(distance)
    meant = columns_meant(label_column, name_column, columns, embeddings, labels)
    read = read_table(embeddings, labels, meant)
    search = partial(
        nearest_impostors,
        read.embeddings,
        read.labels,
        k,
        distance=measure,
        near_duplicate=near_duplicate,
        relative_margin=relative_margin,
        effort=effort,
        progress=progress,
    )
    found = search(index=index)  # type: ignore[arg-type]
    report = size_of(read, embeddings) | {"k": k, "index": index}
    if index != "exact" and recall_of > 0:
        count = min(recall_of, len(read.embeddings))
        some = np.linspace(0, len(read.embeddings) - 1, count).astype(np.int64)
        ours = type(found)(found.distances[some], found.indices[some])
        report[f"recall of {count} samples"] = ours.recall(search(index="exact", anchors=some))
    named = () if read.names is None else ("anchor_name", "impostor_name")
    header = ("anchor", "rank", "impostor", "distance", *named)
    write_csv(out, header, _rows(found, read.names))
    report["impostors written"] = int((found.indices >= 0).sum())
    print_report(report)


def _rows(found: Neighbours, names: list[str] | None) -> Iterator[tuple[object, ...]]:
    """A row for every impostor found, by anchor and rank."""
    for anchor, (indices, distances) in enumerate(zip(found.indices, found.distances, strict=True)):
        for rank, (impostor, distance) in enumerate(
            zip(indices.tolist(), distances.tolist(), strict=True)
        ):
            if impostor >= 0:
                named = () if names is None else (names[anchor], names[impostor])
                yield anchor, rank, impostor, distance, *named
