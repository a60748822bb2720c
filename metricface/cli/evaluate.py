"""``metricface evaluate``: verification and retrieval, of one set or of queries in a gallery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from metricface import plots
from metricface.cli.app import app
from metricface.cli.arguments import (
    KINDS,
    Dimensions,
    LabelColumn,
    Labels,
    Measure,
    NameColumn,
    columns_meant,
    distance_named,
)
from metricface.cli.glimpses import glimpses
from metricface.cli.joining import comparable, refuse_repeated
from metricface.cli.listed import ListedPairs, read_pairs
from metricface.cli.outputs import check_outputs, write_json, write_picture
from metricface.cli.page import Page, write_page
from metricface.cli.page_pictures import Pictures
from metricface.cli.reports import print_report, short_name, size_of, title_of
from metricface.cli.tables import Table, read_table
from metricface.distances import Distance
from metricface.evaluation import (
    Roc,
    Verification,
    retrieval,
    verification,
)


@app.command()
def evaluate(
    embeddings: Annotated[Path | None, typer.Argument(help=KINDS)] = None,
    labels: Labels = None,
    query: Annotated[
        Path | None,
        typer.Option(
            help="Instead of one set: search for these embeddings in --gallery. Where both files "
            "have names, an image is not found as itself."
        ),
    ] = None,
    gallery: Annotated[Path | None, typer.Option(help="Where --query is searched for.")] = None,
    query_labels: Annotated[Path | None, typer.Option(help="As --labels, of --query.")] = None,
    gallery_labels: Annotated[Path | None, typer.Option(help="As --labels, of --gallery.")] = None,
    columns: Dimensions = None,
    label_column: LabelColumn = "label",
    name_column: NameColumn = "name",
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="LFW's pairs.txt, or a CSV of pairs with the columns first, second (names of the "
            "embeddings' file) and same (1 or 0)."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    roc: Annotated[Path | None, typer.Option(help="Draw the ROC (.png, .pdf, .svg).")] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a page that shows the figures, the ROC down to one impostor pair, the "
            "distances' histogram and the hardest pairs: one file, nothing else is needed."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="For --html: a folder within which the names of the embeddings are paths, such as "
            "the crops of metricface align: the hardest pairs and their identities are then shown."
        ),
    ] = None,
    far: Annotated[list[float] | None, typer.Option(help="A FAR; may be repeated.")] = None,
    k: Annotated[
        list[int] | None, typer.Option(min=1, help="A k of Recall@k; may be repeated.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="Folds of the verification accuracy.")] = 10,
    distance: Measure = "squared",
) -> None:
    """Verification over all pairs (or those listed) and retrieval; or a search in a gallery."""
    inputs = (embeddings, labels, query, gallery, query_labels, gallery_labels)
    check_outputs(out, picture=roc, page=html, inputs=(*inputs, pairs))
    measure = distance_named(distance)
    meant, ks = columns_meant(label_column, name_column, columns, *inputs), tuple(k or (1, 5))
    one_set = {"EMBEDDINGS": embeddings, "--labels": labels, "--pairs": pairs, "--roc": roc}
    shown = {"--html": html, "--images": images}
    search = {"--query-labels": query_labels, "--gallery-labels": gallery_labels}
    if query is not None and gallery is not None:
        _refuse({**one_set, **shown, "--far": far}, "is of one set, not of --query and --gallery")
        queries = read_table(query, query_labels, meant)
        inside = read_table(gallery, gallery_labels, meant)
        report = _searched(queries, query, inside, gallery, ks, measure)
    elif embeddings is None or query is not None or gallery is not None:
        raise typer.BadParameter("give a file of embeddings, or both --query and --gallery")
    else:
        _refuse(search, "goes with --query and --gallery")
        _refuse({} if html else {"--images": images}, "goes with --html, which shows them")
        _refuse({} if pairs is None else {"--k": k}, "is of the search, which --pairs leaves out")
        fars = tuple(far or (1e-1, 1e-2, 1e-3))
        read = read_table(embeddings, labels, meant, labels_needed=pairs is None)
        pictures = None if images is None else _pictures(images, read, embeddings)
        listed, cut = None, folds
        if pairs is not None:
            listed, cut = read_pairs(pairs, read, embeddings, labels or embeddings, folds)
        found = _verification(read, listed, cut, fars, measure)
        report = size_of(read, embeddings) | {"verification": _verified(found)}
        if pairs is None:
            set_ = read.embeddings, read.labels
            near = retrieval(*set_, ks=ks, whole_ranking=True, distance=measure)
            report["retrieval"] = asdict(near)
        if roc is not None:
            _draw_roc(roc, found, read, embeddings)
        if html is not None:
            which = "all pairs" if pairs is None else f"the pairs of {pairs.name}"
            compared = f"{which} by their {distance} distance"
            ranked, seen = report.get("retrieval"), glimpses(read, listed, measure)
            write_page(html, Page(embeddings, read, compared, found, ranked, seen, pictures))
    if out is not None:
        write_json(out, report)
    print_report(report)


def _refuse(given: Mapping[str, object], why: str) -> None:
    """Raise for the first option that was given without a meaning."""
    for name, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"{name} {why}")


def _searched(
    queries: Table,
    query: Path,
    inside: Table,
    gallery: Path,
    ks: tuple[int, ...],
    measure: Distance,
) -> dict[str, Any]:
    """Retrieval of queries in a gallery; by their names, images are not found as themselves."""
    named = queries.names is not None and inside.names is not None
    for read, file in ((queries, query), (inside, gallery)) if named else ():
        refuse_repeated(read.names or (), file, "an image is not found as itself")
    labels, gallery_labels = comparable(queries.labels, query, inside.labels, gallery)
    near = retrieval(
        queries.embeddings,
        labels,
        ks=ks,
        gallery=inside.embeddings,
        gallery_labels=gallery_labels,
        ids=queries.names if named else None,
        gallery_ids=inside.names if named else None,
        whole_ranking=True,
        distance=measure,
    )
    size = {"gallery": str(gallery), "gallery samples": len(inside.embeddings)}
    return size_of(queries, query) | size | {"retrieval": asdict(near)}


def _pictures(images: Path, read: Table, embeddings: Path) -> Pictures:
    """The images by the names of the embeddings, looked for before the work begins."""
    if read.names is None:
        raise ValueError(f"{embeddings} holds no names, by which {images} would have its images")
    return Pictures(images, read.names, embeddings)


def _verification(
    read: Table,
    listed: ListedPairs | None,
    folds: int,
    fars: tuple[float, ...],
    measure: Distance,
) -> Verification:
    """Verification over all pairs, or on a list of pairs of named images."""
    x = read.embeddings
    if listed is None:
        return verification(x, read.labels, folds=folds, fars=fars, distance=measure)
    return verification(
        x, pairs=listed.rows, same=listed.same, folds=folds, fars=fars, distance=measure
    )


def _verified(found: Verification) -> dict[str, Any]:
    """All figures but the curve and those of single folds."""
    left_out = ("roc", "accuracies")
    figures = {name: value for name, value in vars(found).items() if name not in left_out}
    return figures | {"val": {far: asdict(rate) for far, rate in found.val.items()}}


def _draw_roc(file: Path, found: Verification, read: Table, embeddings: Path) -> None:
    """The curve, its legend naming the file whose error rate it is."""
    curves: dict[str, Verification | Roc] = {short_name(embeddings): found}
    title = f"{title_of('ROC', read, embeddings)}, {_pairs(found):,} pairs"
    write_picture(file, lambda ax: plots.roc(curves, ax=ax), size=(6.8, 4.2), title=title)


def _pairs(found: Verification) -> int:
    return found.genuine_pairs + found.impostor_pairs
