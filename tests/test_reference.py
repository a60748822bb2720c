"""The API reference lists what can be imported."""

from __future__ import annotations

import importlib
import pkgutil
import re
import runpy
from pathlib import Path

import pytest

from tests.surface import INNER, public_names

DOCS = Path(__file__).parent.parent / "docs"
ROOT = DOCS.parent / "metricface"
PARTS = {part.name for part in pkgutil.iter_modules([str(ROOT)])} - {"__main__", *INNER}


def test_every_public_part_has_a_page_and_every_page_is_listed() -> None:
    pages = {page.stem for page in (DOCS / "reference").glob("*.md")}
    assert PARTS - pages == set()
    assert pages - PARTS == set()
    index = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^reference/(\w+)$", index, re.MULTILINE)) == pages


def test_the_reference_begins_with_every_public_name() -> None:
    begin_with_a_summary = runpy.run_path(str(DOCS / "conf.py"))["begin_with_a_summary"]
    text = [(DOCS / "reference.md").read_text(encoding="utf-8")]
    begin_with_a_summary(None, "reference", text)
    rows = dict(re.findall(r"^\| \[(\w+)\].* \| (.*) \|$", text[0], re.MULTILINE))
    for part in PARTS:
        names = public_names(importlib.import_module(f"metricface.{part}"))
        assert re.findall(r"`(\w+)`", rows[part]) == names


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_page_is_of_its_part_with_all_that_it_exports(part: str) -> None:
    """Without the option a package's page would be its first line and nothing else."""
    page = (DOCS / "reference" / f"{part}.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"automodule:: (metricface\S*)\n((?:   :.*\n)*)", page))
    name = f"metricface.{part}"
    assert name in listed
    if hasattr(importlib.import_module(name), "__path__"):
        assert ":imported-members:" in listed[name]


def test_a_page_begins_with_a_table_of_classes_and_functions() -> None:
    begin_with_a_table = runpy.run_path(str(DOCS / "conf.py"))["begin_with_a_table"]
    for name, some in (
        ("metricface.samplers", ["EpochReport", "PKSampler"]),
        ("metricface.recipes", ["Options", "fit"]),
        ("metricface.memory", ["CrossBatchMemory"]),
    ):
        lines: list[str] = []
        begin_with_a_table(None, "module", name, importlib.import_module(name), None, lines)
        assert ".. autosummary::" in lines
        assert set(some) <= {line.strip() for line in lines}
