"""The commands: each reads files, calls the library once and writes the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from metricface import plots
from metricface.cli.frames import Columns
from metricface.cli.outputs import check_folders, say, write_csv, write_json, write_picture
from metricface.cli.tables import Table, read_table
from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.evaluation import (
    Verification,
    class_distances,
    read_csv_pairs,
    read_lfw_pairs,
    retrieval,
    verification,
)
from metricface.offline import nearest_impostors

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

DISTANCES: dict[str, Distance] = {
    "squared": SquaredEuclidean(),
    "euclidean": Euclidean(),
    "cosine": Cosine(),
}

Embeddings = Annotated[Path, typer.Argument(help="A file: .npy, .npz, .csv or .parquet.")]
Dimensions = Annotated[
    str | None,
    typer.Option(
        help="Of .csv and .parquet: the dimensions, as e0-e127 or x,y,z; all other columns if not "
        "given."
    ),
]
LabelColumn = Annotated[str, typer.Option(help="Of .csv and .parquet: column of the identities.")]
NameColumn = Annotated[str, typer.Option(help="Of .csv and .parquet: column of the images' names.")]
Labels = Annotated[Path | None, typer.Option(help="Labels, if they are in a file of their own.")]
Measure = Annotated[str, typer.Option(help="squared, euclidean or cosine, of unit vectors.")]
Bar = Annotated[bool, typer.Option(help="Show a progress bar.")]


@app.callback()
def metricface() -> None:
    """What embeddings are worth, and which of them are hard."""


@app.command()
def evaluate(
    embeddings: Embeddings,
    labels: Labels = None,
    columns: Dimensions = None,
    label_column: LabelColumn = "label",
    name_column: NameColumn = "name",
    pairs: Annotated[Path | None, typer.Option(help="LFW's pairs.txt, or a CSV of pairs.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    roc: Annotated[Path | None, typer.Option(help="Draw the ROC (.png, .pdf, .svg).")] = None,
    far: Annotated[list[float] | None, typer.Option(help="A FAR; may be repeated.")] = None,
    k: Annotated[list[int] | None, typer.Option(help="A k of Recall@k; may be repeated.")] = None,
    folds: Annotated[int, typer.Option(help="Folds of the verification accuracy.")] = 10,
    distance: Measure = "squared",
) -> None:
    """Verification over all pairs (or those listed) and retrieval."""
    check_folders(out, roc)
    measure = _distance(distance)
    fars = tuple(far or (1e-1, 1e-2, 1e-3))
    meant = Columns(label_column, name_column, columns)
    read = read_table(embeddings, labels, meant, labels_needed=pairs is None)
    report: dict[str, Any] = _size(read, embeddings)
    if pairs is None:
        found = verification(read.embeddings, read.labels, folds=folds, fars=fars, distance=measure)
        near = retrieval(read.embeddings, read.labels, ks=tuple(k or (1, 5)), distance=measure)
        report |= {"verification": _verified(found), "retrieval": asdict(near)}
    else:
        found = _of_pairs(read, pairs, embeddings, folds, fars, measure)
        report["verification"] = _verified(found)
    if roc is not None:
        write_picture(roc, lambda ax: plots.roc(found, ax=ax), size=(6.4, 4.0))
    if out is not None:
        write_json(out, report)
    _print(report)


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
    bins: Annotated[int, typer.Option(help="Number of bins.")] = 200,
    upper: Annotated[
        float | None, typer.Option(help="Where the bins end, the same for models to compare.")
    ] = None,
    log: Annotated[bool, typer.Option(help="Logarithmic density.")] = False,  # noqa: FBT002
    distance: Measure = "squared",
) -> None:
    """Distances within and between identities, over all pairs."""
    check_folders(png, csv, out)
    read = read_table(embeddings, labels, Columns(label_column, name_column, columns))
    found = class_distances(
        read.embeddings, read.labels, bins=bins, upper=upper, distance=_distance(distance)
    )
    report = _size(read, embeddings) | {
        name: value for name, value in vars(found).items() if not isinstance(value, np.ndarray)
    }
    quantiles = {f"{q:g}": found.quantiles(q) for q in (0.01, 0.05, 0.5, 0.95, 0.99)}
    report |= {
        "intra_pairs": int(found.intra.sum()),
        "inter_pairs": int(found.inter.sum()),
        "intra_quantiles": {q: pair[0] for q, pair in quantiles.items()},
        "inter_quantiles": {q: pair[1] for q, pair in quantiles.items()},
    }
    if csv is not None:
        edges = (found.edges[:-1].tolist(), found.edges[1:].tolist())
        counts = (found.intra.tolist(), found.inter.tolist())
        write_csv(csv, ("from", "to", "intra", "inter"), zip(*edges, *counts, strict=True))
    if png is not None:
        write_picture(
            png, lambda ax: plots.class_distance_histogram(found, ax=ax, log=log), size=(7.0, 3.6)
        )
    if out is not None:
        write_json(out, report)
    _print(report)


@app.command()
def mine(
    embeddings: Embeddings,
    out: Annotated[Path, typer.Option(help="Write the impostors as CSV.")],
    labels: Labels = None,
    columns: Dimensions = None,
    label_column: LabelColumn = "label",
    name_column: NameColumn = "name",
    k: Annotated[int, typer.Option(help="Impostors for each sample.")] = 10,
    index: Annotated[str, typer.Option(help="exact, ivf or hnsw.")] = "exact",
    effort: Annotated[int | None, typer.Option(help="Of ivf and hnsw: more misses less.")] = None,
    near_duplicate: Annotated[
        float | None, typer.Option(help="Pass over impostors nearer than this.")
    ] = None,
    recall_of: Annotated[
        int, typer.Option(help="Samples for which an approximate search is checked.")
    ] = 500,
    distance: Measure = "squared",
    progress: Bar = False,  # noqa: FBT002
) -> None:
    """The nearest impostors of every sample, over the whole set."""
    check_folders(out)
    measure = _distance(distance)
    read = read_table(embeddings, labels, Columns(label_column, name_column, columns))

    search = partial(
        nearest_impostors,
        read.embeddings,
        read.labels,
        k,
        distance=measure,
        near_duplicate=near_duplicate,
        effort=effort,
        progress=progress,
    )
    found = search(index=index)  # type: ignore[arg-type]
    report = _size(read, embeddings) | {"k": k, "index": index}
    if index != "exact" and recall_of > 0:
        count = min(recall_of, len(read.embeddings))
        some = np.linspace(0, len(read.embeddings) - 1, count).astype(np.int64)
        ours = type(found)(found.distances[some], found.indices[some])
        report[f"recall of {count} samples"] = ours.recall(search(index="exact", anchors=some))
    rows = (
        (anchor, rank, int(found.indices[anchor, rank]), float(found.distances[anchor, rank]))
        for anchor in range(len(found.indices))
        for rank in range(k)
        if found.indices[anchor, rank] >= 0
    )
    write_csv(out, ("anchor", "rank", "impostor", "distance"), rows)
    _print(report)


def _distance(name: str) -> Distance:
    if name not in DISTANCES:
        raise ValueError(f"--distance must be {', '.join(DISTANCES)}, got {name!r}")
    return DISTANCES[name]


def _of_pairs(
    read: Table,
    pairs: Path,
    embeddings: Path,
    folds: int,
    fars: tuple[float, ...],
    measure: Distance,
) -> Verification:
    """Verification on a list of pairs of named images."""
    if read.names is None:
        raise ValueError(f"{embeddings} holds no names, by which {pairs} lists its images")
    listed = read_csv_pairs(pairs, folds=folds) if pairs.suffix == ".csv" else read_lfw_pairs(pairs)
    try:
        rows = listed.rows(read.names)
    except ValueError as error:
        raise ValueError(f"{pairs} and {embeddings} do not fit: {error}") from error
    cut = folds if listed.folds == 1 else listed.folds
    return verification(
        read.embeddings, pairs=rows, same=listed.same, folds=cut, fars=fars, distance=measure
    )


def _verified(found: Verification) -> dict[str, Any]:
    """All figures but the curve and those of single folds."""
    left_out = ("roc", "accuracies")
    figures = {name: value for name, value in vars(found).items() if name not in left_out}
    return figures | {"val": {far: asdict(rate) for far, rate in found.val.items()}}


def _size(read: Table, embeddings: Path) -> dict[str, Any]:
    """What was read; one column too many shows in the number of dimensions."""
    samples, dimensions = read.embeddings.shape
    return {"embeddings": str(embeddings), "samples": samples, "dimensions": dimensions}


def _print(report: dict[str, Any]) -> None:
    """A report as aligned lines."""
    say("\n".join(_lines(report)))


def _lines(report: dict[str, Any], indent: str = "") -> Iterator[str]:
    width = max(len(str(name)) for name in report)
    for name, value in report.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            shown = f"{value:.4f}" if isinstance(value, float) else str(value)
            yield f"{indent}{name!s:<{width}}  {shown}"
