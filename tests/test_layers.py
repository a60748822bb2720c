"""The layer rule of the architecture: a module imports from lower rows only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "metricface"

ROWS = [
    {"types", "embeddings", "given", "progress", "files"},
    {"distances", "identities", "samplers", "distributed", "data"},
    {"miners", "classifiers", "memory", "offline", "evaluation", "diagnostics"},
    {"losses", "plots"},
    {"recipes"},
    {"cli"},
]
ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}


def part_of(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").parts[0]


def imported_parts(source: str) -> set[str]:
    """Parts of metricface that a module's text imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                found.add(".")
            elif node.module == "metricface":
                found.update(alias.name for alias in node.names)
            elif node.module and node.module.startswith("metricface."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found.update(n.split(".")[1] for n in names if n.startswith("metricface."))
    return found


def violations(part: str, source: str) -> list[str]:
    """What is wrong with the imports of a module of this part."""
    wrong = []
    for other in imported_parts(source) - {part}:
        if other == ".":
            wrong.append(f"{part} imports relatively")
        elif other not in ROW_OF:
            wrong.append(f"{part} imports {other}, which has no row")
        elif ROW_OF[other] >= ROW_OF[part]:
            wrong.append(f"{part} (row {ROW_OF[part]}) imports {other} (row {ROW_OF[other]})")
    return wrong


MODULES = [p for p in sorted(ROOT.rglob("*.py")) if p != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path, ROOT)
    assert part in ROW_OF, f"{part} has no row in the architecture"
    assert violations(part, path.read_text()) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("distances", "from metricface.miners import BatchHardMiner"),
        ("distances", "from metricface.identities import Matches"),
        ("miners", "def f():\n    import metricface.losses.triplet"),
        ("plots", "from metricface import losses"),
        ("miners", "from .miner import Miner"),
        ("miners", "import metricface.unheard_of"),
    ],
)
def test_the_rule_sees_upward_sideways_and_relative_imports(part: str, source: str) -> None:
    assert violations(part, source)


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=str)
def test_packages_only_re_export(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    allowed = (ast.ImportFrom, ast.Import, ast.Expr, ast.Assign)
    assert all(isinstance(node, allowed) for node in body)
    names = [n for n in body if isinstance(n, ast.Assign)]
    assert [ast.unparse(n.targets[0]) for n in names] == ["__all__"]
