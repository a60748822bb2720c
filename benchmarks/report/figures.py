"""Panels as pictures: each as SVG that takes its page's colours, or all as one PNG."""

from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.report.document import Pairs, Panel, Panels
from metricface import plots
from metricface.files import write_whole
from metricface.plots.palette import FAINT, INK

WIDTH = 3.9
"""Inches; about a phone's width, where a point of the letters is a point on the glass."""
PNG_WIDTH, TITLE, LETTERS, DPI = 4.6, 0.45, 44, 110
"""Of a panel among others in one PNG: its width, room for its title, whose lines have at most so
many letters, and dots an inch."""

_PAGE_COLOURS = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    "#000000": "var(--black)",
    "#ffffff": "var(--page)",
}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "metricface",
}


@contextmanager
def _styled() -> Iterator[None]:
    """Matplotlib as it came, but for our style: a user's own would change the pictures."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def inline_svg(panel: Panel, *, prefix: str) -> str:
    """A panel as an SVG element to stand in a page: words are words, ink is the page's.

    Args:
        panel: what to draw.
        prefix: of the element's ids, which must differ within a page.
    """
    with _styled():
        figure = Figure(figsize=(WIDTH, panel.height), layout="constrained")
        panel.draw(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    return _for_page(buffer.getvalue(), panel.alt, prefix)


def _for_page(text: str, alt: str, prefix: str) -> str:
    """Without namespaces, unused ids, fixed size and needless decimals."""
    root = ElementTree.fromstring(text)
    named = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        if attributes.get("id") not in named:
            attributes.pop("id", None)
        element.attrib.clear()
        for name, value in attributes.items():
            element.set(name, _for_page_value(name, value, prefix))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": alt}
    return ElementTree.tostring(root, encoding="unicode")


def _for_page_value(name: str, value: str, prefix: str) -> str:
    """An attribute with its ids made the picture's own and its colours the page's."""
    if name == "id":
        return prefix + value
    if name == "href":
        return value.replace("#", f"#{prefix}", 1) if value.startswith("#") else value
    value = value.replace("url(#", f"url(#{prefix}")
    if name == "style":
        value = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)
        for colour, variable in _PAGE_COLOURS.items():
            value = value.replace(colour.lower(), variable)
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", value)


def write_panels(block: Panels, file: Path) -> None:
    """All panels as one PNG, each under its title."""
    rows = math.ceil(len(block.panels) / block.columns)
    heights = [
        TITLE + max(p.height for p in block.panels[row * block.columns :][: block.columns])
        for row in range(rows)
    ]
    with _styled():
        figure = Figure(figsize=(PNG_WIDTH * block.columns, sum(heights)), layout="constrained")
        grid = figure.subplots(rows, block.columns, squeeze=False, height_ratios=heights).ravel()
        for ax, panel in zip(grid, block.panels, strict=False):
            panel.draw(ax)
            ax.set_title(fill(panel.title, LETTERS), loc="left", fontweight="bold")
            if panel.caption:
                ax.set_title(panel.caption, loc="right", fontsize="small")
        for ax in grid[len(block.panels) :]:
            ax.set_axis_off()
        _save(figure, file)


def write_pairs(block: Pairs, file: Path) -> None:
    """The pairs as a sheet."""
    columns = max(len(block.found.impostors), len(block.found.genuine))
    with _styled():
        figure = Figure(figsize=(max(3.0, 1.35 * columns), 2.4), layout="constrained")
        plots.hardest_pairs_sheet(
            block.images, block.found, labels=block.names, ax=figure.subplots()
        )
        _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    """A PNG of 128 colours, a third of the size and to the eye the same."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    picture = Image.open(drawn).convert("RGB").quantize(128)
    write_whole(file, lambda temporary: picture.save(temporary, format="PNG", optimize=True))
