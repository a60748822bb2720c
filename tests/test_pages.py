"""The Python on the pages of the documentation can be read."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^([ ]*)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
PAGES = {
    str(page.relative_to(DOCS)): [text for _, text in found]
    for page in sorted(DOCS.rglob("*.md"))
    if "_build" not in page.parts and (found := BLOCK.findall(page.read_text(encoding="utf-8")))
}


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_python(name: str) -> None:
    for block in PAGES[name]:
        text = textwrap.dedent(block)
        if ">>>" not in text:  # what Python answers is not Python
            ast.parse(text)
