"""The layer rule of the architecture: a module imports from lower rows only, never in circles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "metricface"

ROWS = [
    {"transfers", "torch_func"},
    {"types", "given", "refusals", "splitmix", "eager", "progress", "files"},
    {"embeddings"},
    {"distances", "identities", "samplers", "distributed", "data"},
    {"miners", "classifiers", "memory", "offline", "evaluation", "diagnostics"},
    {"losses", "plots"},
    {"recipes"},
    {"cli"},
    {"__main__"},
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
    imports = any(isinstance(node, ast.ImportFrom | ast.Import) for node in body)
    names = [n for n in body if isinstance(n, ast.Assign)]
    # An inner folder may hold its docstring alone: its package re-exports what is public.
    assert [ast.unparse(n.targets[0]) for n in names] == ["__all__"] * imports


def imported_modules(source: str) -> set[str]:
    """Full names that a module's text imports of metricface: of modules, or of names in them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("metricface.")}


def circle(folder: Path, root: Path) -> list[str]:
    """A circle of imports among the files and folders that lie directly in a folder, or []."""
    package = ".".join(("metricface", *folder.relative_to(root).parts))
    graph: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        if path == folder / "__init__.py":  # it re-exports what the others hold
            continue
        entry = path.relative_to(folder).with_suffix("").parts[0]
        names = imported_modules(path.read_text())
        inside = {n.removeprefix(f"{package}.") for n in names if n.startswith(f"{package}.")}
        graph.setdefault(entry, set()).update({name.split(".")[0] for name in inside} - {entry})
    # What is imported of the folder itself comes by its __init__.py, which imports everything.
    through_init = sorted(set().union(*graph.values()) - set(graph))
    if through_init:
        return ["__init__", *through_init]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


FOLDERS = sorted({path.parent for path in MODULES})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_circle_inside_a_package(folder: Path) -> None:
    assert circle(folder, ROOT) == []


@pytest.mark.parametrize("form", ["from metricface.data.{} import x", "import metricface.data.{}"])
def test_the_rule_sees_a_circle_between_inner_folders(tmp_path: Path, form: str) -> None:
    for own, other in (("sets", "images.image_set"), ("images", "sets")):
        (tmp_path / "data" / own).mkdir(parents=True)
        (tmp_path / "data" / own / "file.py").write_text(form.format(other))
    assert set(circle(tmp_path / "data", tmp_path)) == {"sets", "images"}
    (tmp_path / "data" / "images" / "file.py").write_text("from metricface.types import Labels")
    assert circle(tmp_path / "data", tmp_path) == []


def test_an_import_through_the_own_package_is_a_circle(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "splits.py").write_text("from metricface.data import ImageSet")
    assert circle(tmp_path / "data", tmp_path) == ["__init__", "ImageSet"]
