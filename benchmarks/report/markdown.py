"""A report as Markdown, with its pictures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

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
from benchmarks.report.figures import write_pairs, write_panels


def picture_file(block: Panels | Pairs) -> str:
    """The name of a picture's file."""
    return f"report-{block.name}.png"


def write_pictures(document: Document, folder: Path) -> list[Path]:
    """Draw every picture of the document into a folder.

    Args:
        document: the report.
        folder: where the Markdown will stand.

    Returns:
        The files.
    """
    files = []
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Panels):
                files.append(folder / picture_file(block))
                write_panels(block, files[-1])
            elif isinstance(block, Pairs):
                files.append(folder / picture_file(block))
                write_pairs(block, files[-1])
    return files


def render_markdown(document: Document) -> str:
    """The text; its pictures are those of :func:`write_pictures`."""
    sections = [_section(section) for section in document.sections]
    return "\n\n".join([f"# {inline(document.title)}", *sections]) + "\n"


def _section(section: Section) -> str:
    return "\n\n".join([f"## {inline(section.title)}", *map(_block, section.blocks)])


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"> {inline(block.text)}" if block.kind else inline(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {inline(item)}" for item in block.items)
    if isinstance(block, Code):
        return "\n".join(["```bash", *(line.replace("```", "'''") for line in block.lines), "```"])
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Panels):
        return f"![{inline(block.alt)}]({picture_file(block)})"
    if isinstance(block, Pairs):
        return f"### {inline(block.title)}\n\n![{inline(_alt(block))}]({picture_file(block)})"
    inside = "\n\n".join(map(_block, block.blocks))
    return f"<details><summary>{escape(block.summary)}</summary>\n\n{inside}\n\n</details>"


def _alt(block: Pairs) -> str:
    count = len(block.found.impostors) + len(block.found.genuine)
    return f"The {count} hardest pairs of {block.title}"


def inline(text: str) -> str:
    r"""Escaped, but for the two marks of a document's texts, which are Markdown's own.

    Example:
        >>> inline("**a_b** | `c_d`")
        '**a\\_b** \\| `c_d`'
    """
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if number % 2 else _escape(part) for number, part in enumerate(parts))


def _escape(text: str) -> str:
    text = " ".join(text.split("\n")).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"(?<!\*)\*(?!\*)|[\\_\[\]|>#~`]", lambda found: "\\" + found[0], text)


def _table(table: Table) -> str:
    numbers = table.numeric_columns()
    lines = [
        _line([inline(title) for title in table.columns]),
        _line(["---:" if number else "---" for number in numbers]),
        *(_line([_cell(cell) for cell in row]) for row in table.rows),
    ]
    return "\n".join(([inline(table.caption), ""] if table.caption else []) + lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: TableCell) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.best else text
