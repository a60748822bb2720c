"""One page on a trained model that needs no other file: figures, curves, the hardest pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np

import metricface
from metricface import plots
from metricface.cli.glimpses import Glimpses
from metricface.cli.outputs import write_output
from metricface.cli.page_pictures import Pictures, drawing
from metricface.cli.tables import Table
from metricface.evaluation import Verification

_IDENTITIES, _IMAGES = 8, 12  # of the sheet, and of each of them


class Page(NamedTuple):
    """What a page is about."""

    source: Path
    """The file of the embeddings."""
    read: Table
    """What it holds."""
    compared: str
    """Which pairs, and by which distance."""
    found: Verification
    near: Mapping[str, Any] | None
    """The figures of a search, by name; None where a list of pairs was compared."""
    glimpses: Glimpses
    pictures: Pictures | None
    """The images of the embeddings; None shows names in their place."""


def write_page(file: Path, page: Page) -> None:
    """Write it whole or not at all; what the user's files say stands in it as text.

    Args:
        file: such as ``model.html``.
        page: what is said.

    Raises:
        ImportError: matplotlib is missing.
        OSError: the file cannot be written.
    """
    body = "\n".join(
        (*_head(page), *_figures(page), *_curves(page), *_hardest(page), *_sheet(page))
    )
    template = Template(files("metricface.cli").joinpath("page.html").read_text(encoding="utf-8"))
    text = template.substitute(title=escape(page.source.name), body=body)
    write_output(file, lambda part: part.write_text(text, encoding="utf-8"))


def _head(page: Page) -> Iterator[str]:
    samples, dimensions = page.read.embeddings.shape
    identities = len(np.unique(page.read.labels))
    of = f" of {identities:,} identities" if identities else ""
    yield f"<h1>{escape(page.source.name)}</h1>"
    yield (
        f"<p>{samples:,} embeddings of {dimensions:,} dimensions{of}. Compared are "
        f"{escape(page.compared)}: {page.found.genuine_pairs:,} of one identity and "
        f"{page.found.impostor_pairs:,} of two. metricface {metricface.__version__}</p>"
    )


def _figures(page: Page) -> Iterator[str]:
    found = page.found
    rows = [
        (
            f"Accuracy, {len(found.accuracies)} folds",
            _mean(found.accuracy, found.sem),
        ),
        ("Threshold of best accuracy", _number(found.threshold)),
        ("Equal error rate", _share(found.eer)),
        ("Area under the ROC", f"{found.auc:.4f}"),
    ]
    for far in found.tar:
        rows.append((f"TAR at FAR {far:g}", _share(found.tar[far])))
    for far, rate in found.val.items():
        rows.append((f"VAL at FAR {far:g}", _mean(rate.mean, rate.sem)))
    for name, value in (page.near or {}).items():
        if isinstance(value, Mapping):
            rows += [(f"Recall@{k}", _share(each)) for k, each in value.items()]
        elif value is not None:
            said = _share(value) if isinstance(value, float) else f"{value:,}"
            rows.append((_NAMED.get(name, name), said))
    yield "<h2>Figures</h2>"
    yield from _table(rows)
    yield (
        "<p>± is the standard error of the mean over the folds. VAL takes its threshold from the "
        "other folds. A dash: too few pairs or folds to tell.</p>"
    )


_NAMED = {
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "mean_average_precision": "mAP",
    "mrr": "MRR",
    "queries": "Queries",
    "unmatched": "Queries without a match",
}


def _share(value: float) -> str:
    return f"{100 * value:.2f}\N{NO-BREAK SPACE}%" if math.isfinite(value) else "–"


def _mean(value: float, sem: float) -> str:
    return f"{_share(value)} ± {_share(sem)}" if math.isfinite(value) else "–"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def _table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> Iterator[str]:
    """A table of texts."""
    yield "<table>"
    if header:
        yield f"<tr>{''.join(f'<th scope=col>{escape(each)}</th>' for each in header)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in row)}</tr>"
    yield "</table>"


def _curves(page: Page) -> Iterator[str]:
    found, distances = page.found, page.glimpses.distances
    curve = drawing(lambda ax: plots.roc(found, ax=ax), said="ROC")
    density = drawing(
        lambda ax: plots.class_distance_histogram(distances, ax=ax), said="Histogram of distances"
    )
    yield '<h2>Curves</h2>\n<div class="curves">'
    yield (
        f"<figure>{curve}<figcaption>TAR at each FAR, down to a single one of the "
        f"{found.impostor_pairs:,} impostor pairs: "
        f'<span class="number">{1 / found.impostor_pairs:.2g}</span>. Below that no FAR can be '
        "told from 0.</figcaption></figure>"
    )
    yield (
        f"<figure>{density}<figcaption>Distances, each kind with an area of 1; "
        f"d′ {_number(distances.d_prime)}. The threshold is that of least balanced error, as fine "
        "as a bin.</figcaption></figure>"
    )
    yield "</div>"


def _hardest(page: Page) -> Iterator[str]:
    hardest = page.glimpses.hardest
    yield "<h2>Hardest pairs</h2>"
    once = "" if page.near is None else " Of the same identities only the hardest is listed."
    yield f"<p>The quickest way to find wrong labels. The number is the distance.{once}</p>"
    for kind, title, pairs, distances in (
        ("impostor", "Most alike impostors", hardest.impostors, hardest.impostor_distances),
        ("genuine", "Least alike of one identity", hardest.genuine, hardest.genuine_distances),
    ):
        yield f'<h3 class="{kind}">{title}</h3>'
        listed = zip(pairs.tolist(), distances.tolist(), strict=True)
        if page.pictures is None:
            rows = (
                (f"{value:.3f}", _said(page.read, i), _said(page.read, j))
                for (i, j), value in listed
            )
            yield from _table(rows, ("distance", "first", "second"))
            continue
        yield f'<ul class="pairs {kind}">'
        for (i, j), value in listed:
            both = "".join(_image(page, page.pictures, row) for row in (i, j))
            said = "<br>".join(escape(_said(page.read, row)) for row in (i, j))
            yield f'<li><div class="two">{both}</div>{value:.3f}<br>{said}</li>'
        yield "</ul>"


def _sheet(page: Page) -> Iterator[str]:
    """The identities of the hardest pairs: whether a label is wrong shows beside its others."""
    labels, hardest = page.read.labels, page.glimpses.hardest
    if page.pictures is None or not len(labels):
        return
    turns = [*hardest.impostors.ravel().tolist(), *hardest.genuine.ravel().tolist()]
    yield "<h2>Identities</h2>"
    yield "<p>Those of the hardest pairs, from the hardest on.</p>"
    for label in list(dict.fromkeys(labels[turns].tolist()))[:_IDENTITIES]:
        members = np.flatnonzero(labels == label).tolist()
        more = f", {_IMAGES} of {len(members)}" if len(members) > _IMAGES else ""
        yield f'<h3>{escape(str(label))}{more}</h3>\n<ul class="sheet">'
        for row in members[:_IMAGES]:
            yield f"<li>{_image(page, page.pictures, row)}</li>"
        yield "</ul>"


def _image(page: Page, pictures: Pictures, row: int) -> str:
    said, address = escape(_said(page.read, row)), pictures[row]
    if address is None:
        return f"<span>no image of {said}</span>"
    return f'<img src="{address}" alt="{said}" title="{said}">'


def _said(read: Table, row: int) -> str:
    """What a person calls a sample: its identity and its name, as far as they are known."""
    name = f"row {row}" if read.names is None else read.names[row]
    return f"{read.labels[row]}: {name}" if len(read.labels) else name
