"""Panels as pictures: each as SVG that takes its page's colours, or all as one PNG."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.image import imsave
from PIL import Image
from torch import Tensor

from metricface import plots
from metricface.evaluation import HardestPairs
from metricface.files import write_whole
from metricface.plots.palette import FAINT, INK

WIDTH = 3.9
"""Inches; about a phone's width, where a point of the letters is a point on the glass."""
PNG_WIDTH, TITLE, LETTERS, DPI, COLOURS = 4.6, 0.45, 44, 96, 64
"""Of a panel among others in one PNG: its width, room for its title, whose lines have at most so
many letters, dots an inch, and colours: so few make a third of the size, to the eye the same."""

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


class Panel(NamedTuple):
    """A small picture: title and caption above it, words in its place, its drawing, inches."""

    title: str
    caption: str
    alt: str
    draw: Callable[[Axes], object]
    height: float


class Panels(NamedTuple):
    """Small multiples in so many columns, and the file and words where they become one."""

    file: str
    alt: str
    panels: Sequence[Panel]
    columns: int

    def save(self, file: Path) -> None:
        """All panels as one PNG, each under its title."""
        rows = range(0, len(self.panels), self.columns)
        heights = [TITLE + max(p.height for p in self.panels[r:][: self.columns]) for r in rows]
        with _styled():
            figure = Figure(figsize=(PNG_WIDTH * self.columns, sum(heights)), layout="constrained")
            grid = figure.subplots(len(rows), self.columns, squeeze=False, height_ratios=heights)
            for ax, panel in zip(grid.flat, self.panels, strict=False):
                panel.draw(ax)
                ax.set_title(fill(panel.title, LETTERS), loc="left", fontweight="bold")
                if panel.caption:
                    ax.set_title(panel.caption, loc="right", fontsize="small")
            for ax in grid.flat[len(self.panels) :]:
                ax.set_axis_off()
            _save(figure, file)


class Pairs(NamedTuple):
    """The hardest pairs of a model: its images ``[N, 1, H, W]``, rows of them, all names."""

    file: str
    title: str
    images: Tensor
    found: HardestPairs
    names: Sequence[str]

    @property
    def alt(self) -> str:
        """What the sheet shows, for who cannot see it."""
        count = len(self.found.impostors) + len(self.found.genuine)
        return f"The {count} hardest pairs of {self.title}"

    def save(self, file: Path) -> None:
        """The pairs as a sheet."""
        columns = max(len(self.found.impostors), len(self.found.genuine))
        with _styled():
            figure = Figure(figsize=(max(3.0, 1.35 * columns), 2.4), layout="constrained")
            ax = figure.subplots()
            names = [_drawable(name) for name in self.names]
            plots.hardest_pairs_sheet(self.images, self.found, labels=names, ax=ax)
            _save(figure, file)

    def tiles(self) -> Iterator[tuple[str, str, list[tuple[str, str, str]]]]:
        """Of each kind its title, and of each pair the picture, the distance, the names."""
        found = self.found
        for kind, title, rows, distances in (
            ("impostor", "Most alike impostors", found.impostors, found.impostor_distances),
            ("genuine", "Least alike of one identity", found.genuine, found.genuine_distances),
        ):
            tiles = []
            for (first, second), distance in zip(rows.tolist(), distances.tolist(), strict=True):
                names = " · ".join(dict.fromkeys((self.names[first], self.names[second])))
                source = _data_url(self.images[first], self.images[second])
                tiles.append((source, f"{distance:.2f}", names))
            yield kind, title, tiles


def write_pictures(contents: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw every picture of a report into a folder and return the files."""
    panels = (contents[name] for name in ("families", "comparisons", "distances"))
    pictures = [*(block for block in panels if block.panels), *contents["pairs"]]
    for picture in pictures:
        picture.save(folder / picture.file)
    return [folder / picture.file for picture in pictures]


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
    buffer = io.StringIO()
    unsigned = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _styled():
        figure = Figure(figsize=(WIDTH, panel.height), layout="constrained")
        panel.draw(figure.subplots())
        figure.savefig(buffer, format="svg", transparent=True, metadata=unsigned)
    return _for_page(buffer.getvalue(), panel.alt, prefix)


def _for_page(text: str, alt: str, prefix: str) -> str:
    """Without namespaces, needless ids and groups, fixed size, spaces and needless decimals."""
    root = ElementTree.fromstring(text)
    named = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    ids = {name: f"{prefix}{number}" for number, name in enumerate(named)}
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        attributes = {
            name.rpartition("}")[2]: value
            for name, value in element.attrib.items()
            if not value.startswith("rotate(-0 ")  # every level word of matplotlib's has that
        }
        if attributes.get("id") not in ids:
            attributes.pop("id", None)
        element.attrib.clear()
        element.tail = None
        element.text = element.text if (element.text or "").strip() else None
        for name, value in attributes.items():
            element.set(name, _for_page_value(name, value, ids))
    root[:] = _ungrouped(root)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": alt}
    return ElementTree.tostring(root, encoding="unicode")


def _ungrouped(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """What an element holds, with that of groups that say nothing in their place."""
    for child in list(element):
        child[:] = _ungrouped(child)
        yield from child if child.tag == "g" and not child.attrib else (child,)


def _for_page_value(name: str, value: str, ids: Mapping[str, str]) -> str:
    """An attribute with its ids made the picture's own and its colours the page's."""
    if name == "id":
        return ids[value]
    if name == "href":
        return f"#{ids[value[1:]]}" if value.startswith("#") else value
    if name == "d":
        return _short_path(value)
    value = re.sub(r"url\(#([^)]+)", lambda found: f"url(#{ids[found[1]]}", value)
    if name == "style":
        value = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)
        for colour, variable in _PAGE_COLOURS.items():
            value = value.replace(colour.lower(), variable)
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", value)


def _short_path(text: str) -> str:
    """The same path to a tenth of a point; lines by how far they go, along an axis by one number.

    Example:
        >>> _short_path("M 37.312 118.5  L 37.31 120.04  L 50.0 120.0  L 49.5 121 L 60 122 z ")
        'M37.3 118.5v1.5h12.7l-.5 1 10.5 1z'
        >>> _short_path("M 1 1 L 2 2 z L 1 3")
        'M1 1l1 1zv2'
    """
    parts, first, last, before = [], [0, 0], [0, 0], ""
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", text):
        tenths = [round(10 * float(n)) for n in numbers.split()]
        shown = tenths
        if command == "L":
            shown = [now - then for now, then in zip(tenths, last, strict=True)]
            command = "l" if all(shown) else "v" if shown[1] else "h"
            shown = {"l": shown, "v": shown[1:], "h": shown[:1]}[command]
        written = " ".join(re.sub(r"^(-?)0\.", r"\1.", f"{n / 10:g}") for n in shown)
        parts.append((" " if command == before == "l" else command) + written)
        last, before = tenths[-2:] or first, command  # closed, a line is back where it began
        first = last if command == "M" else first
    return "".join(parts).replace(" -", "-")


def _save(figure: Figure, file: Path) -> None:
    """A picture of few colours, chosen to cover all: else thin lines get those of others."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    picture = Image.open(drawn).convert("RGB")
    picture = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3)
    write_whole(file, lambda temporary: picture.save(temporary, format="PNG", optimize=True))


def _drawable(name: str) -> str:
    """What a picture can show of a name: characters that matplotlib's own font lacks are left out.

    Example:
        >>> _drawable("\u6c38 U+6C38"), _drawable("Zoë")
        ('U+6C38', 'Zoë')
    """
    font = get_font(findfont("DejaVu Sans"))
    return "".join(letter for letter in name if font.get_char_index(ord(letter))).strip()


def _data_url(first: Tensor, second: Tensor) -> str:
    """Two images ``[1 or 3, H, W]`` side by side, as a PNG within the page."""
    both = np.concatenate([np.asarray(image).transpose(1, 2, 0) for image in (first, second)], 1)
    buffer = io.BytesIO()
    shown = both[..., 0] if both.shape[2] == 1 else both.clip(0, 1)
    unsigned: dict[str, Any] = {"Software": None}
    imsave(buffer, shown, cmap="gray", vmin=0, vmax=1, format="png", metadata=unsigned)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
