"""``metricface histogram``: distances within and between identities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from metricface import plots
from metricface.cli.app import app
from metricface.cli.arguments import (
    Dimensions,
    Embeddings,
    LabelColumn,
    Labels,
    Measure,
    NameColumn,
    columns_meant,
    distance_named,
)
from metricface.cli.outputs import check_outputs, write_csv, write_json, write_picture
from metricface.cli.reports import print_report, size_of, title_of
from metricface.cli.tables import read_table
from metricface.evaluation import ClassDistances, class_distances


@app.command()
def histogram(
    embeddings: Embeddings,
    labels: Labels = None,
    columns: Dimensions = None,
    label_column: LabelColumn = "label",
    name_column: NameColumn = "name",
    png: Annotated[Path | None, typer.Option(help="Draw it (.png, .pdf, .svg).")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the counts as CSV.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the summary as JSON.")] = None,
    bins: Annotated[int, typer.Option(min=1, help="Number of bins.")] = 200,
    upper: Annotated[
        float | None, typer.Option(help="Where the bins end, the same for models to compare.")
    ] = None,
    log: Annotated[bool, typer.Option(help="Logarithmic density.")] = False,  # noqa: FBT002
    distance: Measure = "squared",
) -> None:
    """Distances within and between identities, over all pairs."""
    check_outputs(csv, out, picture=png, inputs=(embeddings, labels))
    measure = distance_named(distance)
    meant = columns_meant(label_column, name_column, columns, embeddings, labels)
    read = read_table(embeddings, labels, meant)
    found = class_distances(read.embeddings, read.labels, bins=bins, upper=upper, distance=measure)
    report = size_of(read, embeddings) | _summary(found)
    if csv is not None:
        edges = (found.edges[:-1].tolist(), found.edges[1:].tolist())
        counts = (found.intra.tolist(), found.inter.tolist())
        write_csv(csv, ("from", "to", "intra", "inter"), zip(*edges, *counts, strict=True))
    if png is not None:
        write_picture(
            png,
            lambda ax: plots.class_distance_histogram(found, ax=ax, log=log),
            size=(7.0, 3.8),
            title=title_of("Distances", read, embeddings),
        )
    if out is not None:
        write_json(out, report)
    print_report(report)


def _summary(found: ClassDistances) -> dict[str, Any]:
    """The figures, the numbers of pairs and some quantiles of both kinds."""
    figures = {name: each for name, each in vars(found).items() if not isinstance(each, np.ndarray)}
    quantiles = {f"{q:g}": found.quantiles(q) for q in (0.01, 0.05, 0.5, 0.95, 0.99)}
    return figures | {
        "intra_pairs": int(found.intra.sum()),
        "inter_pairs": int(found.inter.sum()),
        "intra_quantiles": {q: pair[0] for q, pair in quantiles.items()},
        "inter_quantiles": {q: pair[1] for q, pair in quantiles.items()},
    }
