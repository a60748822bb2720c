"""The API reference lists what can be imported."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.md"
LISTED = dict(
    re.findall(
        r"automodule:: (metricface\S*)\n((?:   :.*\n)*)", REFERENCE.read_text(encoding="utf-8")
    )
)


@pytest.mark.parametrize("name", LISTED)
def test_a_package_is_listed_with_what_it_imports(name: str) -> None:
    """Without the option a package's page would be its first line and nothing else."""
    if hasattr(importlib.import_module(name), "__path__"):
        assert ":imported-members:" in LISTED[name]


def test_every_public_part_is_listed() -> None:
    root = REFERENCE.parent.parent / "metricface"
    parts = {path.stem for path in root.iterdir() if path.suffix in ("", ".py")}
    # A command is not imported; who is refused need not ask how, nor how files are written.
    inner = {"__init__", "__pycache__", "progress", "given", "files", "cli"}
    assert {f"metricface.{part}" for part in parts - inner} - set(LISTED) == set()
