"""What a report consists of, before it is HTML or Markdown.

Texts are plain, but for two marks that both forms know: ``**strong**`` and, in backticks, code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from torch import Tensor

from metricface.evaluation import HardestPairs


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; an answer and a warning are set apart."""

    text: str
    kind: Literal["", "answer", "warning"] = ""


@dataclass(frozen=True)
class Bullets:
    """A list of short statements."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Commands, one a line."""

    lines: Sequence[str]


@dataclass(frozen=True)
class TableCell:
    """A cell: what is read, what it is sorted by (a number stands at the right), whether bold."""

    text: str
    value: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    sortable: bool = False

    def numeric_columns(self) -> list[bool]:
        """Of each column, whether numbers stand in it."""
        places = range(len(self.columns))
        return [any(row[place].value is not None for row in self.rows) for place in places]


@dataclass(frozen=True)
class Panel:
    """A small picture.

    Attributes:
        title: stands above it.
        caption: stands below it; may be empty.
        alt: what it shows, for who cannot see it.
        draw: fills the Axes it is given.
        height: in inches.
    """

    title: str
    caption: str
    alt: str
    draw: Callable[[Axes], object]
    height: float


@dataclass(frozen=True)
class Panels:
    """Small multiples, side by side where there is room.

    Attributes:
        name: of the file, where they become one.
        alt: what that one shows.
        panels: in reading order.
        columns: how many side by side at most.
    """

    name: str
    alt: str
    panels: Sequence[Panel]
    columns: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """The hardest pairs of a model, as images.

    Attributes:
        name: of the file, where they become one picture.
        title: whose they are.
        images: ``[N, 1, H, W]`` in 0..1.
        found: rows of the images and distances.
        names: what each image shows, ``[N]``.
    """

    name: str
    title: str
    images: Tensor
    found: HardestPairs
    names: Sequence[str]


@dataclass(frozen=True)
class Folded:
    """What most readers skip, behind a line that opens it."""

    summary: str
    blocks: Sequence[Block]


Block: TypeAlias = "Paragraph | Bullets | Code | Table | Panels | Pairs | Folded"


@dataclass(frozen=True)
class Section:
    """A heading, its anchor, and what stands under it."""

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A report."""

    title: str
    sections: Sequence[Section]
