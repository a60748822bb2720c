"""A report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave
from torch import Tensor

from benchmarks.report.document import (
    Block,
    Bullets,
    Code,
    Document,
    Pairs,
    Panels,
    Paragraph,
    Section,
    Table,
    TableCell,
)
from benchmarks.report.figures import inline_svg

LONG = 28
"""Letters from which a cell's text is given room before it breaks into lines."""

_HERE = Path(__file__).parent
"""``page.css`` and ``page.js`` lie beside this file."""


def render_page(document: Document) -> str:
    """The whole page: styles, script and pictures are in it."""
    title = escape(document.title)
    links = "".join(
        f'<li><a href="#{escape(s.anchor)}">{escape(s.anchor.capitalize())}</a></li>'
        for s in document.sections
    )
    numbers = count(1)
    body = "\n".join(_section(section, numbers) for section in document.sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{_resource("page.css")}</style>
</head>
<body>
<header><h1>{title}</h1></header>
<nav aria-label="Contents"><ul>{links}</ul></nav>
<main>
{body}
</main>
<script>
{_resource("page.js")}</script>
</body>
</html>
"""


def _resource(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _section(section: Section, numbers: count[int]) -> str:
    blocks = "\n".join(_block(block, numbers) for block in section.blocks)
    anchor = escape(section.anchor)
    return f'<section id="{anchor}">\n<h2>{escape(section.title)}</h2>\n{blocks}\n</section>'


def _block(block: Block, numbers: count[int]) -> str:
    """A block; pictures take the next number for their ids."""
    if isinstance(block, Paragraph):
        kind = f' class="{block.kind}"' if block.kind else ""
        return f"<p{kind}>{inline(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Code):
        return f"<pre><code>{escape(chr(10).join(block.lines))}</code></pre>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Panels):
        return _panels(block, numbers)
    if isinstance(block, Pairs):
        return _pairs(block)
    inside = "\n".join(_block(each, numbers) for each in block.blocks)
    return f"<details><summary>{escape(block.summary)}</summary>\n{inside}\n</details>"


def inline(text: str) -> str:
    """Escaped, with the two marks of a document's texts.

    Example:
        >>> inline("**a** & `b`")
        '<strong>a</strong> &amp; <code>b</code>'
    """
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", marked)


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{" class=number" if right else ""}>{escape(title)}</th>'
        for title, right in zip(table.columns, table.numeric_columns(), strict=True)
    )
    body = "\n".join(f"<tr>{_row(row)}</tr>" for row in table.rows)
    caption = f"<figcaption>{inline(table.caption)}</figcaption>" if table.caption else ""
    label = escape(table.caption.partition(".")[0] or table.columns[0])
    kind = ' class="sortable"' if table.sortable else ""
    return (
        '<figure class="table">'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table{kind}><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        f"{caption}</figure>"
    )


def _row(cells: Sequence[TableCell]) -> str:
    return "".join(_cell(cell, "td" if place else "th") for place, cell in enumerate(cells))


def _cell(cell: TableCell, tag: str) -> str:
    text = f"<strong>{escape(cell.text)}</strong>" if cell.best else escape(cell.text)
    scope = ' scope="row"' if tag == "th" else ""
    kind = ' class="long"' if len(cell.text) > LONG else ""
    if cell.value is not None:
        kind = f' class="number" data-value="{cell.value!r}"'
    return f"<{tag}{scope}{kind}>{text}</{tag}>"


def _panels(block: Panels, numbers: count[int]) -> str:
    figures = []
    for panel in block.panels:
        svg = inline_svg(panel, prefix=f"f{next(numbers)}-")
        caption = f" <span>{escape(panel.caption)}</span>" if panel.caption else ""
        title = f"<figcaption><strong>{escape(panel.title)}</strong>{caption}</figcaption>"
        figures.append(f"<figure>{title}{svg}</figure>")
    return f'<div class="panels of-{block.columns}">\n' + "\n".join(figures) + "\n</div>"


def _pairs(block: Pairs) -> str:
    """A row of image pairs for each kind, which breaks where the page ends."""
    found = block.found
    parts = [f"<h3>{escape(block.title)}</h3>"]
    for kind, title, rows, distances in (
        ("impostor", "Most alike impostors", found.impostors, found.impostor_distances),
        ("genuine", "Least alike of one identity", found.genuine, found.genuine_distances),
    ):
        tiles = []
        for (first, second), distance in zip(rows.tolist(), distances.tolist(), strict=True):
            names = " · ".join(dict.fromkeys((block.names[first], block.names[second])))
            said = f"{distance:.2f} <span>{escape(names)}</span>"
            alt = f"{kind} pair at distance {distance:.2f}: {names}"
            source = _data_url(block.images[first], block.images[second])
            tiles.append(
                f'<li><figure><img src="{source}" alt="{escape(alt)}">'
                f"<figcaption>{said}</figcaption></figure></li>"
            )
        parts.append(f'<h4>{title}</h4>\n<ul class="pairs {kind}">{"".join(tiles)}</ul>')
    return "\n".join(parts)


def _data_url(first: Tensor, second: Tensor) -> str:
    """Two images ``[1 or 3, H, W]`` side by side, as a PNG within the page."""
    both = np.concatenate([np.asarray(image).transpose(1, 2, 0) for image in (first, second)], 1)
    buffer = io.BytesIO()
    shown = both[..., 0] if both.shape[2] == 1 else both.clip(0, 1)
    unsigned: dict[str, Any] = {"Software": None}
    imsave(buffer, shown, cmap="gray", vmin=0, vmax=1, format="png", metadata=unsigned)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
